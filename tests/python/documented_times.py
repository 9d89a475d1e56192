"""Fragments of README and docs with measured times, computed from bench/results."""

import re

from bench.report import Section, show_spread
from bench.timing import Spread, ratio
from conftest import ROOT
from documented_numbers import Fragments, on


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
    for name, cells in columns.items():
        texts = (cells.get(network, "") for network in ("small-cnn", "cifar-cnn-2", "resnet20"))
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


GPU_COLUMNS = [
    (network, method) for network in ("wrn-34-10", "resnet20") for method in ("r-at", "sense")
]
GPU_ROWS = {"compact every step", "tf32", "bfloat16", "cuda graphs", "cuda graphs, bfloat16"}
