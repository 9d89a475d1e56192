"""Fragments of docs with measured times and rounding, computed from stored results."""

import json
import re
import runpy
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn

from bench.report import Section, show_spread
from bench.timing import Spread, ratio
from conftest import ROOT
from documented_numbers import EXTDATA, Fragments, on
from sense.models import build_model


@on("docs/results.md")
def times_of_steps() -> Fragments:
    section = Section.from_json((ROOT / "bench/results/epoch.json").read_text())
    columns: dict[str, dict[str, str]] = {}
    for comparison in section.comparisons:
        if "cifar-cnn-1" not in comparison.title:
            network = re.search(r"steps, (\S+) on", comparison.title)
            assert network
            for name in comparison.times:
                if name.startswith("ours, "):
                    cell = show_spread(ratio(comparison.times, name, "ours, r-at"))
                    columns.setdefault(name.removeprefix("ours, "), {})[network[1]] = cell
    networks = ("small-cnn", "cifar-cnn-2", "resnet20")
    for name, cells in columns.items():
        assert cells.keys() <= set(networks)
        texts = (cells.get(network, "") for network in networks)
        yield f"| {name} | {' | '.join(texts)} |"


@on("docs/accelerators.md")
def steps_on_a_gpu() -> Fragments:
    rows: dict[str, list[str]] = {"float32 (time)": [""] * 4}
    faster = []
    for column, (network, method) in enumerate(GPU_COLUMNS):
        path = ROOT / f"bench/results/accelerator-{network}.json"
        for comparison in Section.from_json(path.read_text()).comparisons:
            if f", {method}," not in comparison.title:
                continue
            for name in comparison.times.keys() & GPU_ROWS:
                found = ratio(comparison.times, name, "plain")
                rows.setdefault(name, [""] * 4)[column] = show_spread(found)
                if network == "wrn-34-10" and name in ("tf32", "bfloat16"):
                    faster.append(1 / found.median)
            if "compiled" not in comparison.title:
                seconds = Spread.of(comparison.times["plain"]).median
                rows["float32 (time)"][column] = f"{1000 * seconds:.0f} ms"
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"
    yield f"{min(faster):.0f} to {max(faster):.0f} times as fast as float32"


@on("docs/accelerators.md")
def half_precision_on_a_processor() -> Fragments:
    path = ROOT / "bench/results/half-precision.json"
    section = Section.from_json(path.read_text())
    found = [
        ratio(comparison.times, "r-at, bfloat16", "r-at, float32").median
        for comparison in section.comparisons
    ]
    yield f"bfloat16 takes between {min(found):.2f} and {max(found):.2f} of the time of float32"
    names = [comparison.title.split()[2] for comparison in section.comparisons]
    yield f"| | {' | '.join(names)} |"
    for row in section.comparisons[0].times:
        cells = [
            show_spread(ratio(comparison.times, row, "r-at, float32"))
            for comparison in section.comparisons
        ]
        yield f"| {row} | {' | '.join(cells)} |"


GPU_COLUMNS = [
    (network, method) for network in ("wrn-34-10", "resnet20") for method in ("r-at", "sense")
]
GPU_ROWS = {"compact every step", "tf32", "bfloat16", "cuda graphs", "cuda graphs, bfloat16"}


@on("docs/accelerators.md")
def rounding() -> Fragments:
    tool = runpy.run_path(str(ROOT / "tools/measure_rounding"))
    stored = json.loads((EXTDATA / "rounding.json").read_text())
    yield from tool["tables"](stored["seeds"])
    seeds = stored["seeds"]
    slower = [one["seconds"]["bfloat16"] / one["seconds"]["float32"] for one in seeds]
    yield (
        f"the last epoch took {min(slower):.1f} to {max(slower):.1f} times as long in bfloat16\n"
        "as in float32"
    )
    exact, rounded = (
        [one["correct"][name]["pgd"] for one in seeds] for name in ("float32", "bfloat16")
    )
    more = [after - before for before, after in zip(exact, rounded, strict=True)]
    first, second, third = (f"{abs(n)} {'more' if n > 0 else 'fewer'}" for n in more)
    yield f"in bfloat16 classify {first}, {second} and {third} of the {stored['n']:,} images"
    yield f"between the seeds in float32 it is up to {max(exact) - min(exact)} images"
    percent = [f"{100 * mean(one) / stored['n']:.1f} %" for one in (exact, rounded)]
    yield f"over the seeds are {percent[0]} in float32 and {percent[1]} in bfloat16"
    stages = [one["other_stage"] for one in seeds]
    yield f"So {min(stages)} to {max(stages)} of {stored['n']:,} images end in another stage"


@on("docs/paper.md")
def operations_of_cifar10_networks() -> Fragments:
    found = operations("wrn-34-10") / operations("preact-resnet18")
    yield f"which has {found:.1f} times as many operations"


@on("docs/paper.md")
def networks_that_were_tried_for_cifar10_fast() -> Fragments:
    stored = json.loads((EXTDATA / "cifar10-fast-networks.json").read_text())
    (minutes,) = {one["minutes"] for one in stored["networks"]}
    yield f"{minutes:.0f} minutes on one core each"
    yield f"would have taken more than the {minutes:.0f} minutes"
    for one in stored["networks"]:
        natural, robust = (100 * one[name] / one["held_out"] for name in ("natural", "robust"))
        yield (
            f"| `{one['network']}` | {one['parameters']:,} | {one['epochs']} | "
            f"{one['seconds_per_epoch'] / 60:.1f} | {natural:.1f} % | {robust:.1f} % |"
        )


def operations(network: str) -> int:
    """Return the number of multiplications of a forward pass of one image of 3 x 32 x 32."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += output[0, 0].numel() * layer.weight.numel()

    model = build_model(network, (3, 32, 32), 10).eval()
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    return total


# Results, their commands, and the stored runs of each.
RUN_TIMES = {
    "study of linear classifiers, 100 seeds": ("Rscript inst/studies/three_clusters.R", ()),
    "the demo, with AutoAttack": ("tools/store-demo", ("mnist-demo/*",)),
    "`mnist-fast`, training": ("python -m sense.train mnist-fast", ("mnist-fast",)),
    "five networks on MNIST under every attack": (
        "tools/compare_methods mnist",
        ("mnist-robustness/*",),
    ),
    "every method on the sample of MNIST, training": (
        "tools/compare_methods mnist-demo",
        ("methods/mnist-demo/*",),
    ),
    "every method on part of CIFAR10, training": (
        "tools/compare_methods cifar10-demo",
        ("methods/cifar10-demo/*",),
    ),
}
# Upper ends of the classes of the form, in seconds.
CLASSES = {
    "less than 1 minute": 60,
    "1 to 10 minutes": 600,
    "10 to 60 minutes": 3600,
    "1 to 8 hours": 8 * 3600,
}


@on("docs/acc-form.md")
def run_times() -> Fragments:
    for result, (command, patterns) in RUN_TIMES.items():
        folders = [path for pattern in patterns for path in sorted(EXTDATA.glob(pattern))]
        seconds = sum(map(seconds_of_run, folders))
        if not folders:
            study = json.loads((EXTDATA / "three_clusters_study.json").read_text())
            seconds = study["seconds"]
        name = next(name for name, limit in CLASSES.items() if seconds < limit)
        yield f"| {result} | `{command}` | {seconds:,.0f} s | {name} |"


def seconds_of_run(folder: Path) -> float:
    """Return the seconds of training and of attacks on a CPU, as far as they are stored."""
    if not (folder / "metrics.jsonl").exists():
        return 0.0
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    training = sum(json.loads(line)["seconds"] for line in lines)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    if "gpu" in evaluation["provenance"]:
        return training
    return training + sum(attack["seconds"] or 0.0 for attack in evaluation["attacks"].values())
