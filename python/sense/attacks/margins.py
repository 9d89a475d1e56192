"""The attack of MMA (Ding et al. 2020), AN-PGD: the point of a PGD direction where p_y = 1/2, and
its distance, the margin."""

import math

import torch
from torch import Tensor, nn

from .. import random_numbers
from .arguments import checked_attack
from .geometry import (
    Bounds,
    ascent_direction,
    broadcast,
    clip,
    clip_then_project_l2,
    has_finite_bounds,
    project,
    random_point,
)
from .losses import soft_margin
from .modes import Mode, attack_mode, recorded_passes


@checked_attack((math.inf, 2.0))
def boundary_points(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: Tensor,
    farthest: float,
    steps: int,
    norm: float = math.inf,
    searches: int = 10,
    start: Tensor | None = None,
    mode: Mode = "evaluation",
    bounds: Bounds = (0, 1),
) -> tuple[Tensor, Tensor]:
    """Return points x + d u near the decision boundary, and the distances d.

    PGD on the soft margin, in evaluation mode, from a random start in the ball of radius eps, with
    step size 2.5 eps / K, gives x'. Along u = (x' - x) / eps, bisections of [0, `farthest`], which
    begin at d = eps, search for the d where the soft margin changes sign.

    Parameters
    ----------
    model, x, y, steps
        As in `pgd`; the images should be correctly classified with p_y > 1/2.
    eps
        Radius of the ball of each image, positive, shape (n,), at most `farthest`.
    norm
        inf or 2. For 2, as in advertorch, the start is a random image projected into the ball, and
        points are clipped to the bounds first and projected into the ball second.
    start
        Start of PGD (default: random).
    mode
        Mode of the model in the bisections; the authors' code uses "updating".

    Returns
    -------
    The points, shape of x, and the distances, shape (n,). As in the authors' code, a point
    farther than eps is not clipped to the bounds, although the search was inside them.
    """
    if start is None:
        start = random_start(x, eps, norm, bounds)
    z = start
    # Numbers of images vary: there would be a graph for each.
    model = recorded_passes(model)[0]
    with attack_mode(model, "evaluation"):
        for _ in range(steps):
            z = z.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(soft_margin(model(z), y).sum(), z)
            step = broadcast(2.5 * eps / steps, x) * ascent_direction(gradient, norm)
            z = _project(z.detach() + step, x, eps, norm, bounds)
    z = z.detach()
    direction = (z - x) / broadcast(eps + 1e-12, x)
    with attack_mode(model, mode) as network, torch.no_grad():
        low, high = torch.zeros_like(eps), torch.full_like(eps, farthest)
        distance, margin = eps, soft_margin(network(z), y)
        for _ in range(searches):
            inside = margin < 0
            low = torch.where(inside, distance, low)
            high = torch.where(inside, high, distance)
            distance = (low + high) / 2
            point = clip(x + broadcast(distance, x) * direction, bounds)
            margin = soft_margin(network(point), y)
    return x + broadcast(distance, x) * direction, distance


def random_start(x: Tensor, eps: Tensor, norm: float, bounds: Bounds = (0, 1)) -> Tensor:
    """Return a random start in the ball of radius eps, shape (n,), around each image."""
    if norm == math.inf or not has_finite_bounds(bounds):
        return random_point(x, eps, norm, bounds)
    low, high = bounds
    return clip_then_project_l2(low + (high - low) * random_numbers.uniform(x), x, eps, bounds)


def _project(z: Tensor, x: Tensor, eps: Tensor, norm: float, bounds: Bounds) -> Tensor:
    if norm == math.inf:
        return project(z, x, eps, norm, bounds)
    return clip_then_project_l2(z, x, eps, bounds)
