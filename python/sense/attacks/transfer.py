"""Attacks made on one network and used on another (Table 4 of the paper)."""

import math

from torch import Tensor, nn

from .arguments import public
from .geometry import Bounds, Radius
from .pgd import pgd


@public()
def transfer(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    source: nn.Module,
    eps: Radius,
    step_size: Radius,
    steps: int,
    norm: float = math.inf,
    random_start: bool = True,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """`pgd` on `source`; `model`, whose accuracy on these images is wanted, is not looked at.

    Parameters
    ----------
    model
        The victim: here only so that all attacks are called alike.
    source
        The network that the images are made on: gives logits of the same classes.
    x, y, eps, step_size, steps, norm, random_start, bounds
        As in `pgd`. The random start is drawn from torch's global generator: the ten attack sets
        of Table 4 are ten calls, each image of which counts as broken if one call breaks it.

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    return pgd(
        source,
        x,
        y,
        eps=eps,
        step_size=step_size,
        steps=steps,
        norm=norm,
        random_start=random_start,
        bounds=bounds,
    )
