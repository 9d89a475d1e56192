"""DeepFool (Moosavi-Dezfooli et al. 2016): a small step over the nearest boundary."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .arguments import public
from .geometry import Bounds, Radius, ascent_direction, broadcast, per_image_norm
from .losses import others, pick
from .modes import attack_mode
from .output_checks import check_gradient

NORMS = (math.inf, 2.0)
FARTHER = 1e-4  # added to each step, in the units of x, as in the authors' code
FLAT = 1e-8  # a gradient with a smaller norm counts as this, so that no distance is infinite


class Crossed(NamedTuple):
    """Points past the decision boundary, shape of x, and their distances from x, shape (n,); x
    itself and inf where none was found."""

    points: Tensor
    distances: Tensor


@public(NORMS)
def deepfool(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: Radius,
    norm: float = math.inf,
    steps: int = 50,
    candidates: int = 10,
    overshoot: float = 0.02,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """What DeepFool finds within eps: an image counts as broken only where the perturbation found
    is at most eps; elsewhere x is given back.

    The paper (Table 2) takes foolbox's l-infinity version with its defaults, which are these.

    Parameters
    ----------
    model, x, y, eps, bounds
        As in `pgd`. Nothing is random.
    norm, steps, candidates, overshoot
        As in `deepfool_points`.

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    found = deepfool_points(
        model,
        x,
        y,
        norm=norm,
        steps=steps,
        candidates=candidates,
        overshoot=overshoot,
        bounds=bounds,
    )
    return torch.where(broadcast(found.distances <= eps, x), found.points, x)


@public(NORMS)
def deepfool_points(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    norm: float = math.inf,
    steps: int = 50,
    candidates: int = 10,
    overshoot: float = 0.02,
    bounds: Bounds = (0, 1),
) -> Crossed:
    """The nearest points of another class that DeepFool finds, however far they are.

    Each step takes the logits as linear and goes to the nearest boundary between class y and
    another; it ends where another class than y is predicted.

    Parameters
    ----------
    model, x, y, bounds
        As in `pgd`. An image that is misclassified as it is has distance 0.
    norm
        inf or 2: in which distances are measured.
    steps
        Number of steps, at most.
    candidates
        The classes considered, y among them: those with the highest logits at x.
    overshoot
        Points are tried so much farther than the sum of the steps leads (0.02: 2 %).
    """
    points, distances = x.clone(), x.new_full((len(x),), math.inf)
    moving, total = torch.arange(len(x), device=x.device), torch.zeros_like(x)
    rivals = torch.zeros(len(x), 0, dtype=torch.int64, device=x.device)
    z = x
    with attack_mode(model, "evaluation"):
        for step in range(steps + 1):
            if not len(moving):
                break
            z = z.detach().requires_grad_()
            logits = model(z)
            if step == 0:
                rivals = others(logits, y, candidates - 1)
            crossed = logits.argmax(1) != y[moving]
            done = moving[crossed]
            points[done] = z.detach()[crossed]
            distances[done] = per_image_norm(points[done] - x[done], norm)
            if step == steps or crossed.all():
                break
            move = to_the_nearest_boundary(logits, z, y[moving], rivals, norm)
            on = ~crossed
            moving, rivals, total = moving[on], rivals[on], (total + move)[on]
            z = (x[moving] + (1 + overshoot) * total).clamp(*bounds)
    return Crossed(points, distances)


def to_the_nearest_boundary(
    logits: Tensor, z: Tensor, y: Tensor, rivals: Tensor, norm: float
) -> Tensor:
    """The shortest step from z (which the logits depend on) that makes one of the rivals' logits
    that of y, were the logits linear. Shape of z."""
    dual = 1 if norm == math.inf else 2
    nearest = torch.full_like(logits[:, 0], math.inf)
    best = torch.zeros_like(z)
    for rival in rivals.unbind(1):
        behind = pick(logits, y) - pick(logits, rival)
        (slope,) = torch.autograd.grad(-behind.sum(), z, retain_graph=True)
        check_gradient(slope)
        distance = behind.detach().abs() / per_image_norm(slope, dual).clamp_min(FLAT)
        nearer = distance < nearest
        nearest = torch.where(nearer, distance, nearest)
        best = torch.where(broadcast(nearer, z), slope, best)
    return broadcast(nearest.detach() + FARTHER, z) * ascent_direction(best, norm)
