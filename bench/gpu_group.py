"""Training in a process group of one process: on a GPU, gradients go through nccl.

    python -m bench.gpu_group --out FILE

The same small training, alone and as one process of a group: the largest difference of a weight,
and the seconds of both.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from sense.config import Config, recipe
from sense.devices import choose_device
from sense.train import fit


def trained(config: Config, folder: Path) -> tuple[list[torch.Tensor], float]:
    """Return the weights and the seconds of a training."""
    began = time.perf_counter()
    model = fit(config, folder)
    return [p.detach().cpu() for p in model.parameters()], round(time.perf_counter() - began, 2)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu_group", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="the file")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--train-size", type=int, default=2000)
    arguments = parser.parse_args(argv)
    config = replace(
        recipe("mnist-demo"),
        epochs=1,
        train_size=arguments.train_size,
        monitor_size=32,
        device=arguments.device,
        precision="float32",
        model="capacity-1",
    )
    gpu = choose_device(arguments.device).type == "cuda"
    backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        alone, seconds = trained(config, folder / "alone")
        dist.init_process_group(
            backend, init_method=f"file://{folder / 'meet'}", rank=0, world_size=1
        )
        try:
            grouped, of_group = trained(config, folder / "group")
        finally:
            dist.destroy_process_group()
    pairs = zip(alone, grouped, strict=True)
    found = {
        "backend": backend,
        "largest_difference": max(float((a - b).abs().max()) for a, b in pairs),
        "seconds_alone": seconds,
        "seconds_in_group": of_group,
    }
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
