"""Time per training image of each method relative to R-AT with the same K, in one process.

    python bench/methods.py                                   capacity-3 on MNIST's sample
    python bench/methods.py --recipe cifar10-demo --data-dir DIR
    python bench/methods.py --model resnet20 --recipe cifar10-demo --data-dir DIR

A network is first trained for ten epochs naturally and for two by SENSE-AT, so that images are in
all stages. Then rounds: each method takes one step (loss, gradient, update) on the same batch, one
after the other, from the same weights. Printed are the median time per image and the median over
rounds of the ratio to R-AT in the same round, with the smallest and the largest.
"""

import argparse
import copy
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from sense.config import Config, recipe
from sense.data import ImageData, load_data, to_float
from sense.methods import Batch, Method, build_method
from sense.models import build_model
from sense.train import build_optimizer

METHODS = ("r-at", "nt", "sense", "trades", "mart", "mma", "iaat", "sense-trades")
VARIANTS = {"sense, bisect": {"method": "sense", "boundary": "bisect"},
            "sense, noise": {"method": "sense", "boundary": "noise"},
            "iaat, warm-up": {"method": "iaat", "warmup": 10_000}}  # fmt: skip


def warmed_up(config: Config, data: ImageData, images: int) -> torch.nn.Module:
    """A network with ten epochs of natural and two of sensible training behind it."""
    model = build_model(config.model, data.shape, len(data.classes))
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for method, parts in (("nt", 10), ("sense", 2)):
        work = build_method(replace(config, method=method))
        for _ in range(parts):
            for index in torch.randperm(images).split(config.batch_size):
                batch = Batch(to_float(data.train_x[index]), data.train_y[index], index)
                optimizer.zero_grad()
                work(model, batch, 0).loss.backward()
                optimizer.step()
    return model


def seconds(config: Config, method: Method, model: torch.nn.Module, batch: Batch) -> float:
    """The time of one step on a copy of the network."""
    model = copy.deepcopy(model)
    optimizer = build_optimizer(config, model)
    began = time.perf_counter()
    optimizer.zero_grad()
    method(model, batch, 1000).loss.backward()
    optimizer.step()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="mnist-demo")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=5000, help="of the first epochs")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(1)
    base = replace(recipe(arguments.recipe), data_dir=arguments.data_dir, warmup=0)
    base = replace(base, model=arguments.model or base.model)
    data = load_data(base.dataset, base.data_dir)
    model = warmed_up(base, data, arguments.images)
    changes = {name: {"method": name} for name in METHODS} | VARIANTS
    configs = {name: replace(base, **change) for name, change in changes.items()}
    methods = {name: build_method(config, len(data.train_x)) for name, config in configs.items()}

    # Memories as after some epochs: mma has found margins, iaat's radii are around eps.
    for name in ("iaat", "iaat, warm-up"):
        methods[name].radii.values.fill_(base.eps)
    times: dict[str, list[float]] = {name: [] for name in methods}
    for round_number in range(arguments.rounds + 2):
        index = torch.randperm(arguments.images)[: base.batch_size]
        batch = Batch(to_float(data.train_x[index]), data.train_y[index], index)
        for name, method in methods.items():
            taken = seconds(configs[name], method, model, batch)
            if round_number >= 2:  # the first rounds warm up caches
                times[name].append(taken)

    stages = torch.bincount(methods["sense"](model, batch, 1000).stages.int(), minlength=3).tolist()
    print(
        f"{base.model} on {data.name}, K = {base.steps}, c = {base.c}, batch {base.batch_size}, "
        f"{arguments.rounds} rounds, 1 thread, torch {torch.__version__}, {platform.machine()}"
    )
    print(f"stages A, B, C of the last batch under sense: {stages}")
    print(f"{'method':<15} {'us/image':>9} {'of R-AT':>8}  from   to")
    for name, taken in times.items():
        ratios = [a / b for a, b in zip(taken, times["r-at"], strict=True)]
        print(
            f"{name:<15} {1e6 * statistics.median(taken) / base.batch_size:9.0f} "
            f"{statistics.median(ratios):8.2f}  {min(ratios):.2f}  {max(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
