"""Time of AutoAttack beside that of its bare passes.

    python -m bench.gpu_attack RUN --n 1000 --out FILE

AutoAttack attacks the first n test images of a run, as an evaluation does, in one batch. The batch
size of every pass through the network is noted. Then passes of these sizes are timed alone, with
and without a backward pass, and multiplied by their numbers.
"""

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sense.data import to_float
from sense.devices import choose_device, to_device_for_evaluation
from sense.evaluation.batch_size import choose_batch_size
from sense.evaluation.evaluate import evaluate
from sense.evaluation.settings import Settings
from sense.evaluation.targets import open_run

from .accelerator import wait

SIZES = 24  # at most so many batch sizes are timed; the others are between them


class Counted(nn.Module):
    """A network that notes the size of each pass, and whether it had a backward pass."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.passes: Counter[tuple[int, bool]] = Counter()

    def forward(self, x: Tensor) -> Tensor:
        self.passes[len(x), x.requires_grad and torch.is_grad_enabled()] += 1
        logits: Tensor = self.network(x)
        return logits


def seconds_of_pass(network: nn.Module, x: Tensor, backward: bool, rounds: int = 3) -> float:
    """Return the shortest of some passes, after one that is not counted."""
    best = math.inf
    for number in range(rounds + 1):
        wait(x.device)
        began = time.perf_counter()
        with torch.set_grad_enabled(backward):
            z = x.detach().requires_grad_(backward)
            logits = network(z)
            if backward:
                torch.autograd.grad(logits.sum(), z)
        wait(x.device)
        if number:
            best = min(best, time.perf_counter() - began)
    return best


def bare_seconds(network: nn.Module, x: Tensor, passes: Counter[tuple[int, bool]]) -> float:
    """Return the time of the passes alone: each takes that of the next larger size timed."""
    total = 0.0
    for backward in (False, True):
        sizes = sorted({size for size, has in passes if has == backward})
        timed = sorted({*sizes[:: max(1, len(sizes) // SIZES)], *sizes[-1:]})
        seconds = {
            n: seconds_of_pass(network, x[:1].expand(n, *x.shape[1:]).contiguous(), backward)
            for n in timed
        }
        for (size, has), number in passes.items():
            if has == backward:
                total += number * seconds[next(n for n in timed if n >= size)]
    return total


def measure(run: Path, n: int, device: torch.device, attack: str, data_dir: Path | None) -> Any:
    """Return the seconds of the attack, and of its passes alone."""
    target = open_run(run, data_dir=data_dir)
    network = to_device_for_evaluation(target.model, device)
    counted = Counted(network).eval()
    n = min(n, len(target.data.test_x))
    x, y = target.data.test_x[:n].to(device), target.data.test_y[:n]
    options: dict[str, Any] = {"attacks": ("natural", attack), "eps": target.eps}
    pixels = to_float(x[:1])
    fitting = choose_batch_size(None, network, pixels.expand(n, *pixels.shape[1:]))
    settings = Settings(norm=target.norm, batch=min(n, fitting.images), **options)
    wait(device)
    began = time.perf_counter()
    result = evaluate(counted, x, y, settings)
    wait(device)
    seconds = time.perf_counter() - began
    bare = bare_seconds(network, pixels, counted.passes)
    accuracy = result.accuracy[attack]
    return {
        "attack": attack,
        "n": n,
        "batch": settings.batch,
        "seconds": round(seconds, 2),
        "bare_seconds": round(bare, 2),
        "ratio": round(seconds / bare, 3),
        "passes": sum(counted.passes.values()),
        "images_in_passes": sum(size * number for (size, _), number in counted.passes.items()),
        "correct": [accuracy.k, accuracy.n],
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu_attack", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="the file")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--attack", default="autoattack")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data-dir", type=Path, help="folder of the data, if it was moved")
    arguments = parser.parse_args(argv)
    device = choose_device(arguments.device)
    found = measure(arguments.run, arguments.n, device, arguments.attack, arguments.data_dir)
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
