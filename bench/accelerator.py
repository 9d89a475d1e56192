"""Time of a training step by precision, with and without CUDA graphs.

    python -m bench.accelerator                       ResNet-20 and WRN-34-10, for a GPU
    python -m bench.accelerator --quick               sizes for a CPU
    python -m bench.accelerator --models resnet20 --only bfloat16 --out FOLDER

No data is needed: the images are noisy copies of ten random pictures. A network is first trained
on them until it is confident on most, so that SENSE-AT has images in several stages; their numbers
are reported. In each round every variant takes one whole step (attack, loss, gradient, update) on
the same batch from the same weights; the order of the variants rotates. The first rounds, in which
graphs are compiled, are not counted. A variant that the device does not support is left out and
named. The results of each network are written to a file of their own after each comparison.
"""

import argparse
import copy
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sense.config import Config, recipe
from sense.config.options import MethodName
from sense.devices import check_cuda_options, choose_device, configure_backend, to_device
from sense.methods import Batch, NaturalTraining, build_method
from sense.models import build_model
from sense.optimizers import build_optimizer
from sense.precision import prepare

from .report import Comparison, Section
from .settings import ROOT, Settings, provenance
from .timing import alternate

EAGER: dict[str, dict[str, Any]] = {
    "tf32": {"precision": "tf32"},
    "bfloat16": {"precision": "bfloat16"},
}
GRAPHS: dict[str, dict[str, Any]] = {
    "cuda graphs": {"cuda_graphs": "on"},
    "cuda graphs, bfloat16": {"cuda_graphs": "on", "precision": "bfloat16"},
    "compact cuda graphs, bfloat16": {"cuda_graphs": "compact", "precision": "bfloat16"},
}
VARIANTS = {"plain": {}, **EAGER, **GRAPHS}  # plain is float32
METHODS: tuple[MethodName, ...] = ("r-at", "sense")


@dataclass
class Variant:
    """A method with its own copy of the network; each step takes the next batch."""

    config: Config
    device: torch.device
    trained: torch.nn.Module
    batches: Iterator[Batch]

    def __post_init__(self) -> None:
        self.configure()
        self.model = copy.deepcopy(self.trained).train()
        self.network = prepare(self.model, self.config.precision, self.config.cuda_graphs).train()
        self.optimizer = build_optimizer(self.config, self.model)
        self.method = build_method(self.config)
        self.stages = ""

    def configure(self) -> None:
        precision, cuda_graphs = self.config.precision, self.config.cuda_graphs
        check_cuda_options(self.device, precision=precision, cuda_graphs=cuda_graphs)
        configure_backend(self.device, precision)

    def step(self) -> float:
        """Return the seconds of one step from the trained weights."""
        self.configure()
        self.model.load_state_dict(self.trained.state_dict())
        batch = next(self.batches)
        wait(self.device)
        began = time.perf_counter()
        step = self.method(self.network, batch, 1000)
        self.optimizer.zero_grad()
        step.loss.backward()
        self.optimizer.step()
        wait(self.device)
        seconds = time.perf_counter() - began
        if step.stages is not None:
            a, b, c = torch.bincount(step.stages.int(), minlength=3).tolist()
            self.stages = f"A {a}, B {b}, C {c}"
        return seconds


def wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def pictures(n: int, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy copies of ten random pictures, and the number of the picture of each."""
    prototypes = 0.3 + 0.4 * torch.rand(10, 3, size // 4, size // 4, device=device)
    prototypes = torch.nn.functional.interpolate(prototypes, size=size)
    y = torch.randint(10, (n,), device=device)
    x = 0.6 * prototypes[y] + 0.4 * torch.rand(n, 3, size, size, device=device)
    return x.clamp(0, 1), y


def confident_network(
    name: str, size: int, batch: int, device: torch.device
) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """Return a network that is confident on most images, adversarial ones included, and the images
    with their labels: after natural training alone nearly all images would be in stage B."""
    x, y = pictures(8 * batch, size, device)
    model = to_device(build_model(name, (3, size, size), 10), device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sense = build_method(replace(options("sense"), steps=2, step_size=4 / 255))
    natural = NaturalTraining(sense.config)
    for epoch in range(10):
        method = natural if epoch < 6 else sense
        for index in torch.randperm(len(x), device=device).split(batch):
            optimizer.zero_grad()
            method(model, Batch(x[index], y[index], index), 1000).loss.backward()
            optimizer.step()
    return model, x, y


def options(method: MethodName) -> Config:
    base = recipe("cifar10-resnet")
    return replace(
        base,
        method=method,
        warmup=0,
        c=0.5,
        eps=8 / 255,
        step_size=2 / 255,
        precision="float32",
        cuda_graphs="off",
    )


def comparisons(
    name: str, arguments: argparse.Namespace, device: torch.device
) -> Iterator[Comparison]:
    """The variants of each method beside the plain one, without CUDA graphs and with them."""
    network = confident_network(name, arguments.size, arguments.batch, device)
    for group, changes in (("", EAGER), (", CUDA graphs", GRAPHS)):
        for method in METHODS:
            chosen = {
                variant: change
                for variant, change in changes.items()
                if not arguments.only or variant in arguments.only
            }
            if method != "sense":
                chosen.pop("compact cuda graphs, bfloat16", None)
            base = replace(options(method), steps=arguments.steps, batch_size=arguments.batch)
            if chosen:
                title = f"Training step, {method}, {name}{group}"
                yield compare(title, {"plain": {}, **chosen}, base, network, arguments, device)


def compare(
    title: str,
    changes: dict[str, dict[str, Any]],
    base: Config,
    network: tuple[torch.nn.Module, torch.Tensor, torch.Tensor],
    arguments: argparse.Namespace,
    device: torch.device,
) -> Comparison:
    model, x, y = network
    variants: dict[str, Variant] = {}
    left_out = []
    for name, change in changes.items():
        try:
            variants[name] = Variant(
                replace(base, **change), device, model, batches(x, y, base.batch_size)
            )
        except ValueError as error:
            left_out.append(f"{name}: left out, {error}.")
    contenders = {name: variant.step for name, variant in variants.items()}
    alternate(contenders, arguments.first, warm_up=False)
    times = alternate(contenders, arguments.rounds, warm_up=False)
    about = f"Batches of {base.batch_size}, images {arguments.size} x {arguments.size}, K = "
    return Comparison(
        title,
        times,
        "plain",
        1000,
        "ms",
        {name: variant.stages for name, variant in variants.items()},
        (f"{about}{base.steps}.", *left_out),
    )


def batches(x: torch.Tensor, y: torch.Tensor, size: int) -> Iterator[Batch]:
    """Yield the same random batches for each variant."""
    generator = torch.Generator().manual_seed(2)
    while True:
        index = torch.randperm(len(x), generator=generator)[:size].to(x.device)
        yield Batch(x[index], y[index], index)


def machine(device: torch.device, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return machine, versions, commit, command and time."""
    found = provenance(
        Settings(arguments.quick, torch.get_num_threads(), Path()), "accelerator", device
    )
    private = argparse.ArgumentParser(add_help=False)  # the folder is not stored
    private.add_argument("--out")
    _, options = private.parse_known_args()
    found["command"] = shlex.join(["python", "-m", "bench.accelerator", *options])
    if device.type == "cuda":
        found |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return found


def main() -> None:
    arguments = parse()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    device = choose_device(arguments.device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.models:
        begun, began = machine(device, arguments), time.perf_counter()
        section = Section(f"accelerator-{name}", provenance=begun)
        for comparison in comparisons(name, arguments, device):
            print(comparison.markdown(), end="\n\n", flush=True)
            section = replace(
                section,
                comparisons=(*section.comparisons, comparison),
                seconds=round(time.perf_counter() - began, 1),
            )
            (arguments.out / f"{section.name}.json").write_text(section.to_json())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.accelerator", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--models", nargs="+", default=["resnet20", "wrn-34-10"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32, help="height and width of an image")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--first", type=int, default=3, help="number of first rounds, which are not counted"
    )
    parser.add_argument(
        "--only", nargs="+", choices=VARIANTS, help="variants to time beside plain; default: all"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="small enough for a CPU")
    parser.add_argument("--out", type=Path, help="folder of the results; default: bench/results")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.models, arguments.batch, arguments.size = ["resnet20"], 16, 16
        arguments.steps, arguments.rounds, arguments.first = 3, 3, 1
    if arguments.out is None:
        arguments.out = ROOT / (".setup/bench-quick" if arguments.quick else "bench/results")
    return arguments


if __name__ == "__main__":
    main()
