"""Projected gradient descent on the cross-entropy (Madry et al. 2018; eq. 4 of the paper)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import check_arguments, evaluation_mode
from .geometry import Bounds, ascent_direction, project, random_point


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    norm: float = math.inf,
    random_start: bool = True,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Images of the eps ball with a high cross-entropy.

    Parameters
    ----------
    model
        Gives logits, shape (n, classes). Its mode, gradients and buffers are left as they are;
        the attack sees it in evaluation mode.
    x
        Images, batch first, floating point, inside `bounds`.
    y
        Labels, int64, shape (n,).
    eps, step_size
        Radius of the ball and length of a step, in the units of the pixels and of `norm`.
    steps
        Number of gradient steps K.
    norm
        inf, 2 or 1. The step is the sign of the gradient for inf, else the gradient over its norm.
    random_start
        Start from a uniform point of the ball, else from x.

    Returns
    -------
    The adversarial images: shape, type and device of x.

    Notes
    -----
    The paper prints the gradient of eq. (4) at x; PGD takes it at the current iterate, as here.
    """
    check_arguments(x, y, eps=eps, step_size=step_size, steps=steps, norm=norm, bounds=bounds)
    with evaluation_mode(model):
        x = x.detach()
        z = random_point(x, eps, norm, bounds) if random_start else x
        for _ in range(steps):
            z = z.detach().requires_grad_()
            loss = F.cross_entropy(model(z), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, z)
            moved = z.detach() + step_size * ascent_direction(gradient, norm)
            z = project(moved, x, eps, norm, bounds)
    return z
