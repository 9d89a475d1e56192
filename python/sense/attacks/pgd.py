"""Projected gradient descent on the cross-entropy (Madry et al. 2018; eq. 4 of the paper)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..graphs import Graphs
from .arguments import checked_attack
from .geometry import Bounds, Radius, ascent_direction, broadcast_radius, project, random_point
from .modes import Mode, attack_mode, recorded_passes


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
        Returns logits, shape (n, classes). Its mode, gradients and buffers are not changed (except
        for the running statistics with mode "updating").
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
        inf, 2 or 1. For inf, a step is along the sign of the gradient, otherwise along the
        normalised gradient.
    random_start
        Whether to start at a uniform random point of the ball. If not, PGD starts at x.
    start
        Images to start at; `random_start` is then ignored. Shape of x.
    mode
        Mode of the model in the attack (dropout, batch norm). "evaluation": evaluation mode;
        "training": the mode set by the caller, but running statistics are restored afterwards;
        "updating": the mode set by the caller, and running statistics are updated.
    bounds
        Minimum and maximum of a pixel; (-inf, inf) for none. Two tensors of the shape of one image
        give each of its values its own.

    Returns
    -------
    The adversarial images: shape, type and device of x.

    Notes
    -----
    In eq. (4) of the paper the gradient is at x, which is a misprint. Here, as in PGD, it is at the
    current iterate.
    """
    model, graphs = recorded_passes(model, bounds)
    with attack_mode(model, mode) as network:
        if start is None:
            start = random_point(x, eps, norm, bounds) if random_start else x
        return ascend(
            lambda z, y: F.cross_entropy(network(z), y, reduction="sum"),
            start,
            x,
            y,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            bounds=bounds,
            graphs=graphs,
            name="cross-entropy",
        )


def ascend(
    objective: Callable[..., Tensor],
    z: Tensor,
    x: Tensor,
    *given: Tensor,
    eps: Radius,
    step_size: Radius,
    steps: int,
    norm: float,
    bounds: Bounds,
    graphs: Graphs | None = None,
    name: str = "",
) -> Tensor:
    """Return the result of K steps of projected gradient ascent from z, in the ball around x.

    The objective is a function of z and of `given`, a sum over the images of the batch. With
    `graphs`, a step is a graph with the name of the objective.
    """

    def step(z: Tensor, x: Tensor, eps: Radius, step_size: Radius, *given: Tensor) -> tuple[Tensor]:
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(z, *given), z)
        length = broadcast_radius(step_size, x)
        moved = ascent_direction(gradient, norm).mul_(length).add_(z.detach())
        return (project(moved, x, eps, norm, bounds),)

    if graphs is None:
        for _ in range(steps):
            (z,) = step(z, x, eps, step_size, *given)
        return z.detach()
    sizes = [r if isinstance(r, Tensor) else x.new_full((), r) for r in (eps, step_size)]
    for _ in range(steps):
        (z,) = graphs.run((name, norm, bounds), step, z, x, *sizes, *given)
    return z.clone()
