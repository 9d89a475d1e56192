"""Projected gradient descent on the cross-entropy (Madry et al. 2018; eq. 4 of the paper)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, Radius, ascent_direction, broadcast_radius, project, random_point
from .modes import Mode, attack_mode


@checked_attack()
def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: Radius,
    step_size: Radius,
    steps: int,
    norm: float = math.inf,
    random_start: bool = True,
    start: Tensor | None = None,
    mode: Mode = "evaluation",
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Return images of the eps ball with a high cross-entropy.

    Parameters
    ----------
    model
        Gives logits, shape (n, classes). Its mode, gradients and buffers are not changed.
    x
        Images, batch first, floating point, inside `bounds`.
    y
        Labels, int64, shape (n,).
    eps, step_size
        Radius of the ball and step size, in the units of the pixels and of `norm`: a number, or
        one per image, shape (n,).
    steps
        Number of gradient steps K.
    norm
        inf, 2 or 1. A step is along the sign of the gradient for inf, else along the normalised
        gradient.
    random_start
        Start from a uniform point of the ball; otherwise from x.
    start
        Start from these images instead.
    mode
        Mode of the model in the attack, see `modes`.

    Returns
    -------
    The adversarial images: shape, type and device of x.

    Notes
    -----
    Eq. (4) of the paper prints the gradient at x. PGD takes it at the current iterate, as here.
    """
    with attack_mode(model, mode) as network:
        if start is None:
            start = random_point(x, eps, norm, bounds) if random_start else x
        return ascend(
            lambda z: F.cross_entropy(network(z), y, reduction="sum"),
            start,
            x,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            bounds=bounds,
        )


def ascend(
    objective: Callable[[Tensor], Tensor],
    z: Tensor,
    x: Tensor,
    *,
    eps: Radius,
    step_size: Radius,
    steps: int,
    norm: float,
    bounds: Bounds,
) -> Tensor:
    """Return the result of K steps of projected gradient ascent from z, in the ball around x. The
    objective is a sum over the images of the batch."""
    length = broadcast_radius(step_size, x)
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(z), z)
        moved = ascent_direction(gradient, norm).mul_(length).add_(z.detach())
        z = project(moved, x, eps, norm, bounds)
    return z.detach()
