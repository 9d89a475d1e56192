"""The result of the sensible adversary."""

from enum import IntEnum
from typing import NamedTuple

from torch import Tensor


class Stage(IntEnum):
    """What happened to an image (section 4.2)."""

    A = 0  # it was not moved: misclassified, or p_y(x) <= c
    B = 1  # a step took its loss past log(1/c) and was reverted
    C = 2  # it took every step


class Sensible(NamedTuple):
    """Adversarial images, shape of x; the `Stage` of each (uint8, shape (n,)); and log(1/c) minus
    the loss of each image in stage B (NaN in the other stages, shape (n,))."""

    x_adv: Tensor
    stages: Tensor
    stage_b_gap: Tensor
