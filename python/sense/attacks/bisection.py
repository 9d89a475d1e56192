"""Bisection of the step that took an image past log(1/c), eq. (13)."""

from collections.abc import Callable

import torch
from torch import Tensor

from .geometry import broadcast


@torch.no_grad()
def bisect(
    loss_of: Callable[[Tensor], Tensor],
    inside: Tensor,
    past: Tensor,
    loss: Tensor,
    *,
    limit: float,
    bisections: int,
) -> tuple[Tensor, Tensor]:
    """Search each reverted step for the point where the loss is log(1/c), eq. (13).

    Returns the points with the highest loss found that is not past the limit, and their losses.
    They lie between `inside` and `past`, and so in the ball and in the bounds.
    """
    low, high = torch.zeros_like(loss), torch.ones_like(loss)
    start, step = inside, past - inside
    for _ in range(bisections):
        middle = (low + high) / 2
        z = start + broadcast(middle, step) * step
        loss_z = loss_of(z)
        allowed = loss_z <= limit
        low, high = torch.where(allowed, middle, low), torch.where(allowed, high, middle)
        inside = torch.where(broadcast(allowed, z), z, inside)
        loss = torch.where(allowed, loss_z, loss)
    return inside, loss
