"""Transfer attacks: images are made on one network and used on another (Table 4 of the paper)."""

import math

from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, Radius
from .pgd import pgd


@checked_attack()
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
    """Return the images of `pgd` on `source`, to be used on `model`.

    Parameters
    ----------
    model
        The attacked network. It is not used here: all attacks have the same first arguments.
    source
        The network that the images are made on. Gives logits of the same classes.
    x, y, eps, step_size, steps, norm, random_start, bounds
        As in `pgd`. The random start is drawn from torch's global generator. The ten attack sets
        of Table 4 are ten calls; an image counts as broken if at least one call breaks it.

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
