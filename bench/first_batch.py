"""Load a data set and make its first batch: `python -m bench.first_batch NAME [DIR]`.

Prints the seconds since the end of the imports."""

import sys
import time
from pathlib import Path

import torch

from sense.data import load_data, to_float


def main() -> None:
    name, *folder = sys.argv[1:]
    began = time.perf_counter()
    if name != "nothing":  # imports only
        data = load_data(name, Path(folder[0]) if folder else None)
        index = torch.randperm(len(data.train_x))[:128]
        batch, labels = to_float(data.train_x[index]), data.train_y[index]
        assert len(batch) == len(labels) == 128
    print(f"{time.perf_counter() - began:.6f}")


if __name__ == "__main__":
    main()
