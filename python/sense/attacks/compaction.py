"""When an attack leaves finished images out of the batch, and how many.

On a processor that is free, so it is done before each pass. An accelerator works through what it
was given while Python goes on; to count the images that still move, Python has to wait for it. And
each new batch size has to be prepared for (choice of algorithms, compiled code): so there are few.
"""

import math

import torch
from torch import Tensor

ACCELERATOR_INTERVAL = 3
BATCH_SIZES = 8  # on an accelerator: eighths of the first batch


def interval(device: torch.device) -> int:
    """Before each how many-th pass finished images are left out, unless the caller says so."""
    return 1 if device.type == "cpu" else ACCELERATOR_INTERVAL


def granule(x: Tensor) -> int:
    """What the sizes of the batches that come of the batch x are multiples of."""
    return 1 if x.device.type == "cpu" else math.ceil(len(x) / BATCH_SIZES)


def survivors(alive: Tensor, multiple: int) -> Tensor:
    """The positions of the images to go on with: all that are alive (boolean, shape (n,)), in their
    order, then as many of the others as make their number a multiple, if there are so many."""
    count = int(alive.sum())
    size = min(len(alive), math.ceil(count / multiple) * multiple)
    return (~alive).int().argsort(stable=True)[:size]
