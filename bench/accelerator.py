"""Time of a training step by precision, compiled code and compaction, on whatever device there is.

    python bench/accelerator.py                              ResNet-20 and WRN-34-10, a GPU
    python bench/accelerator.py --quick                      sizes for a processor
    python bench/accelerator.py --models resnet20 --only bfloat16 compiled --out FILE.json

Needs no data: the images are noisy copies of ten random pictures, on which a network is first
trained naturally until it is sure of most, so that images of SENSE-AT are in several stages; the
parts are printed. Then rounds: each variant takes one whole step (attack, loss, gradient, update)
on the same batch from the same weights, one variant after the other; rounds in which code is made
are left out. Printed are the median time of a step and the median over rounds of its ratio to the
plain variant of the same method and round. What a variant needs and the device lacks is named.
"""

import argparse
import copy
import json
import platform
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sense.config import Config, recipe
from sense.devices import choose_device, place, tune
from sense.methods import Batch, NaturalTraining, build_method
from sense.models import build_model
from sense.precision import Descent, prepare
from sense.train import build_optimizer

NEVER = 1000  # steps between compactions
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "compact every step": {"compact_every": 1},
    "compact never": {"compact_every": NEVER},
    "cudnn benchmark": {"cudnn_benchmark": True},
    "tf32": {"precision": "tf32"},
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
    "compiled": {"compile": "default"},
    "compiled, bfloat16": {"compile": "default", "precision": "bfloat16"},
    "cuda graphs": {"compile": "cuda-graphs", "compact_every": NEVER},
    "cuda graphs, bfloat16": {
        "compile": "cuda-graphs", "compact_every": NEVER, "precision": "bfloat16",
    },
}  # fmt: skip
OF_SENSE_ALONE = ("compact every step", "compact never")


@dataclass
class Variant:
    """A method with its own copy of the network, to be timed."""

    name: str
    config: Config
    device: torch.device
    trained: torch.nn.Module

    def __post_init__(self) -> None:
        self.tune()
        self.model = copy.deepcopy(self.trained).train()
        self.called = prepare(self.model, self.config.precision, self.config.compile).train()
        self.descent = Descent(
            build_optimizer(self.config, self.model), self.config.precision, self.device
        )
        self.method = build_method(self.config)
        self.seconds: list[float] = []
        self.stages = [0, 0, 0]

    def tune(self) -> None:
        tune(self.device, precision=self.config.precision, code=self.config.compile,
             cudnn_benchmark=self.config.cudnn_benchmark)  # fmt: skip

    def step(self, batch: Batch) -> None:
        """One step from the trained weights, timed."""
        self.tune()
        self.model.load_state_dict(self.trained.state_dict())
        wait(self.device)
        began = time.perf_counter()
        step = self.method(self.called, batch, 1000)
        self.descent.backward(step.loss)
        self.descent.step()
        wait(self.device)
        self.seconds.append(time.perf_counter() - began)
        if step.stages is not None:
            self.stages = torch.bincount(step.stages.int(), minlength=3).tolist()


def wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def pictures(n: int, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy copies of ten random pictures, and which picture each is of."""
    prototypes = 0.3 + 0.4 * torch.rand(10, 3, size // 4, size // 4, device=device)
    prototypes = torch.nn.functional.interpolate(prototypes, size=size)
    y = torch.randint(10, (n,), device=device)
    x = 0.6 * prototypes[y] + 0.4 * torch.rand(n, 3, size, size, device=device)
    return x.clamp(0, 1), y


def sure_network(
    name: str, size: int, batch: int, device: torch.device
) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """A network trained naturally until it is sure of most images, and such images."""
    x, y = pictures(8 * batch, size, device)
    model = place(build_model(name, (3, size, size), 10), device).train()
    optimizer, natural = torch.optim.Adam(model.parameters(), lr=1e-3), NaturalTraining()
    for _ in range(6):
        for index in torch.randperm(len(x), device=device).split(batch):
            optimizer.zero_grad()
            natural(model, Batch(x[index], y[index], index), 0).loss.backward()
            optimizer.step()
    return model, x, y


def measure(name: str, arguments: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """The rows of one network."""
    trained, x, y = sure_network(name, arguments.size, arguments.batch, device)
    base = replace(
        recipe("cifar10-resnet"), warmup=0, c=0.5, steps=arguments.steps, eps=8 / 255,
        step_size=2 / 255, batch_size=arguments.batch,
    )  # fmt: skip
    variants: list[Variant] = []
    for method in ("r-at", "sense"):
        for option, change in VARIANTS.items():
            if arguments.only and option not in ("plain", *arguments.only):
                continue
            if method == "r-at" and option in OF_SENSE_ALONE:
                continue
            try:
                config = replace(base, method=method, **change)
                variants.append(Variant(option, config, device, trained))
            except ValueError as error:
                print(f"{name}, {method}, {option}: left out, {error}", flush=True)
    for round_number in range(arguments.rounds + arguments.first):
        index = torch.randperm(len(x), device=device)[: arguments.batch]
        batch = Batch(x[index], y[index], index)
        for variant in variants:
            variant.step(batch)
            if round_number < arguments.first:
                variant.seconds.clear()
    return [row(name, variant, variants) for variant in variants]


def row(name: str, variant: Variant, variants: list[Variant]) -> dict[str, Any]:
    method = variant.config.method
    (plain,) = (v for v in variants if v.name == "plain" and v.config.method == method)
    ratios = [a / b for a, b in zip(variant.seconds, plain.seconds, strict=True)]
    return {
        "model": name, "method": method, "variant": variant.name,
        "milliseconds": 1000 * statistics.median(variant.seconds),
        "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
        "stages": variant.stages if method == "sense" else None,
    }  # fmt: skip


def machine(device: torch.device) -> dict[str, Any]:
    """Where this is."""
    name = platform.processor() or platform.machine()
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else name,
        "type": device.type, "torch": torch.__version__, "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "threads": torch.get_num_threads(), "python": platform.python_version(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet20", "wrn-34-10"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32, help="height and width of an image")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--first", type=int, default=3, help="rounds before, not counted")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="and plain")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="small enough for a processor")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.models, arguments.batch, arguments.size = ["resnet20"], 16, 16
        arguments.steps, arguments.rounds, arguments.first = 3, 3, 1
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    device = choose_device(arguments.device)
    where = machine(device)
    print(" ".join(f"{key} {value}" for key, value in where.items()), flush=True)
    print(f"batch {arguments.batch}, images {arguments.size} x {arguments.size}, "
          f"K = {arguments.steps}, {arguments.rounds} rounds\n")  # fmt: skip
    rows = [row for name in arguments.models for row in measure(name, arguments, device)]
    print("| network | method | variant | ms a step | ratio | least to most | A, B, C |")
    print("|---|---|---|---|---|---|---|")
    for row_ in rows:
        stages = "" if row_["stages"] is None else ", ".join(map(str, row_["stages"]))
        print("| {model} | {method} | {variant} | {milliseconds:.1f} | {ratio:.2f} | "
              "{least:.2f} to {most:.2f} | ".format(**row_) + f"{stages} |")  # fmt: skip
    if arguments.out is not None:
        content = {"machine": where, "arguments": vars(arguments) | {"out": None}, "rows": rows}
        arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
