"""Times of training steps on this machine's device, as one file that grows with each network.

    python -m bench.gpu_steps --out FILE --networks resnet20 wrn-16-4 --seconds 120

For R-AT and SENSE-AT, with each precision and with and without CUDA graphs: the median step of some
rounds, on networks and images of `bench.accelerator`. For R-AT also the floating-point operations
of a step (torch.utils.flop_counter), and the rate of a matrix product in bfloat16, of which the
step reaches a share. What the device does not support is left out and named.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sense.config.options import MethodName
from sense.devices import choose_device

from .accelerator import Variant, batches, confident_network, options, wait
from .timing import alternate

VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "tf32": {"precision": "tf32"},
    "bfloat16": {"precision": "bfloat16"},
    "tf32, graphs": {"precision": "tf32", "cuda_graphs": "on"},
    "bfloat16, graphs": {"precision": "bfloat16", "cuda_graphs": "on"},
    "bfloat16, compact graphs": {"precision": "bfloat16", "cuda_graphs": "compact"},
}
METHODS: tuple[MethodName, ...] = ("r-at", "sense")
FIRST = 4  # rounds that are not counted: graphs are recorded in them


class Operations(TorchDispatchMode):
    """Counts floating-point operations by torch's formulas. (torch's FlopCounterMode does not
    support torch.autograd.grad, which attacks use.)"""

    total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += int(count(*args, **(kwargs or {}), out_val=out))
        return out


def matrix_rate(device: torch.device, size: int, rounds: int = 10) -> float:
    """Return the operations per second of a product of two square matrices in bfloat16."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))

    def seconds() -> float:
        wait(device)
        began = time.perf_counter()
        a @ b
        wait(device)
        return time.perf_counter() - began

    return 2 * size**3 / statistics.median([seconds() for _ in range(rounds + 3)][3:])


def step_flops(variant: Variant) -> int:
    """Return the floating-point operations of a training step (convolutions and products)."""
    with Operations() as counter:
        variant.step()
    return counter.total


def measure(name: str, arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Return the milliseconds of steps by method and variant, with their range."""
    network = confident_network(name, arguments.size, arguments.batch, device)
    variants: dict[str, Variant] = {}
    left_out: dict[str, str] = {}
    for method in METHODS:
        for label in arguments.variants or VARIANTS:
            if method != "sense" and "compact" in label:
                continue
            key = f"{method}, {label}"
            base = replace(options(method), steps=arguments.steps, batch_size=arguments.batch)
            model, x, y = network
            try:
                config = replace(base, **VARIANTS[label])
                variants[key] = Variant(config, device, model, batches(x, y, base.batch_size))
            except ValueError as error:
                left_out[key] = str(error)
    contenders = {key: variant.step for key, variant in variants.items()}
    alternate(contenders, arguments.first, warm_up=False)
    times = alternate(contenders, arguments.rounds, warm_up=False)
    plain = next(key for key in variants if key.startswith("r-at") and "graphs" not in key)
    return {
        "batch": arguments.batch,
        "steps": arguments.steps,
        "rounds": arguments.rounds,
        "ms": {
            key: [round(1000 * f(seconds), 3) for f in (statistics.median, min, max)]
            for key, seconds in times.items()
        },
        "stages": {key: variant.stages for key, variant in variants.items() if variant.stages},
        "flops": step_flops(variants[plain]),
        "left_out": left_out,
    }


def main(argv: list[str] | None = None) -> None:
    arguments = parse(argv)
    torch.manual_seed(1)
    device, began = choose_device(arguments.device), time.perf_counter()
    found: dict[str, Any] = {
        "device": str(device),
        "matrix_rate": matrix_rate(device, arguments.matrix),
        "networks": {},
    }
    for name in arguments.networks:
        if time.perf_counter() - began > arguments.seconds:
            break
        try:
            found["networks"][name] = measure(name, arguments, device)
        except (RuntimeError, ValueError) as error:
            found["networks"][name] = {"error": str(error).strip().splitlines()[0]}
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")
        print(f"{name}: {json.dumps(found['networks'][name])}", flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu_steps", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="the file")
    parser.add_argument("--networks", nargs="+", required=True)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, help="default: all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=32, help="height and width of an image")
    parser.add_argument("--steps", type=int, default=10, help="steps of the attack")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first", type=int, default=FIRST, help="first rounds, not counted")
    parser.add_argument("--matrix", type=int, default=8192, help="size of the matrix product")
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="no network is begun after this time"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
