"""Random crops, flips and shifts of a whole batch at once, on the device where it is."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import random_numbers

Augment = Literal["none", "reflect", "zero", "shift"]
_PADS = {"reflect": 4, "zero": 4, "shift": 1}


def augment(x: Tensor, how: Augment) -> Tensor:
    """Pad by 4 pixels (mirrored, or with zeros), crop each image to its size at a random place, and
    flip every other one or so from left to right; "shift", for digits, moves each image by at most
    one pixel each way, zeros moving in, and flips none; "none" gives the batch as it is.

    x is n x channels x height x width, floating point. The draws are made on the processor, so they
    are the same on any device, and resumed runs go on with them.
    """
    if how == "none":
        return x
    n, channels, height, width = x.shape
    pad = _PADS[how]
    corners = random_numbers.integers(torch.empty(2, n, dtype=torch.int64), 2 * pad + 1, images=1)
    chance = (
        torch.ones(n)
        if how == "shift"
        else random_numbers.uniform(torch.empty(n, dtype=torch.float32))
    )
    (top, left), flip = (draw.to(x.device, non_blocking=True) for draw in (corners, chance < 0.5))
    padded = F.pad(x, (pad,) * 4, mode="reflect" if how == "reflect" else "constant")
    down, across = (torch.arange(size, device=x.device) for size in (height, width))
    rows = top.unsqueeze(1) + down
    columns = left.unsqueeze(1) + torch.where(flip.unsqueeze(1), width - 1 - across, across)
    # The place of each pixel of each crop in its padded image, read row by row.
    places = rows.unsqueeze(2) * (width + 2 * pad) + columns.unsqueeze(1)
    pixels = padded.flatten(2).gather(2, places.view(n, 1, -1).expand(-1, channels, -1))
    return pixels.view(n, channels, height, width)
