"""Random crops, flips and shifts of a batch, on its device."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import random_numbers
from ..errors import InputError
from ..extensions import Code, check_returned_images
from ..transfers import send

Augment = Literal["none", "reflect", "zero", "shift"]
_PADS = {"reflect": 4, "zero": 4, "shift": 1}


def augment(x: Tensor, how: Augment | str) -> Tensor:
    """Augment a batch of images.

    Parameters
    ----------
    x
        Images, floating point, n x channels x height x width.
    how
        "reflect" and "zero": pad by 4 pixels (mirrored or zeros), crop at a random position and
        flip horizontally with probability 1/2. "shift", for digits: shift by at most one pixel in
        each direction, filled with zeros. "none": no augmentation. `Code`: a function of the user's
        own.

    The random numbers are drawn on the CPU, so they are the same on any device.
    """
    if how == "none":
        return x
    if isinstance(how, Code):
        return own_augmentation(x, how)
    n, channels, height, width = x.shape
    pad = _PADS[how]
    corners = random_numbers.integers(
        torch.empty(2, n, dtype=torch.int64), 2 * pad + 1, image_dim=1
    )
    chance = (
        torch.ones(n)
        if how == "shift"
        else random_numbers.uniform(torch.empty(n, dtype=torch.float32))
    )
    (top, left), flip = (send(draw, x.device) for draw in (corners, chance < 0.5))
    padded = F.pad(x, (pad,) * 4, mode="reflect" if how == "reflect" else "constant")
    down, across = (torch.arange(size, device=x.device) for size in (height, width))
    rows = top.unsqueeze(1) + down
    columns = left.unsqueeze(1) + torch.where(flip.unsqueeze(1), width - 1 - across, across)
    # The position of each pixel of each crop in its flattened padded image.
    positions = rows.unsqueeze(2) * (width + 2 * pad) + columns.unsqueeze(1)
    pixels = padded.flatten(2).gather(2, positions.view(n, 1, -1).expand(-1, channels, -1))
    return pixels.view(n, channels, height, width)


def own_augmentation(x: Tensor, function: Code) -> Tensor:
    """Return a batch as a function of the user's own changes it. Raises InputError unless the
    result has the shape, type and device of x."""
    result = function.code(x)
    check_returned_images(result, x, f"augmentation {function}")
    return result


def check_own_augmentation(x: Tensor, how: Augment | str) -> None:
    """Try an augmentation of the user's own on some images. Raises InputError unless the pixels
    that it returns are from 0 to 1. The random state is unchanged."""
    if not isinstance(how, Code):
        return
    with random_numbers.preserved_random_state():
        result = own_augmentation(x.clone(), how)
    if not ((result >= 0) & (result <= 1)).all():
        raise InputError(
            f"augmentation {how} must return pixels from 0 to 1, got {float(result.min()):g} to "
            f"{float(result.max()):g}: clamp them"
        )
