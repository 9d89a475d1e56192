"""DeepFool (Moosavi-Dezfooli et al. 2016): a small step across the nearest boundary."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, Radius, ascent_direction, broadcast, clip, per_image_norm
from .losses import logit_of, other_classes
from .modes import attack_mode
from .output_checks import check_gradient

NORMS = (math.inf, 2.0)
EXTRA_STEP = 1e-4  # added to each step, in the units of x, as in the authors' code
MIN_SLOPE = 1e-8  # smallest norm of a gradient, so that no distance is infinite


class BoundaryPoints(NamedTuple):
    """Points across the decision boundary, shape of x, and their distances from x, shape (n,). If
    none was found: x and inf."""

    points: Tensor
    distances: Tensor


@checked_attack(NORMS)
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
    """Return the points of `deepfool_points` at a distance of at most eps; x for other images.

    The defaults are those of foolbox's l-infinity version, which the paper uses (Table 2).

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


@checked_attack(NORMS)
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
) -> BoundaryPoints:
    """Return the nearest points of another class that DeepFool finds, at any distance.

    Each step takes the logits as linear functions and moves to the nearest boundary between class
    y and another class. An image takes no further step once another class is predicted.

    Parameters
    ----------
    model, x, y, bounds
        As in `pgd`. A misclassified image has distance 0.
    norm
        Norm of the distance: inf or 2.
    steps
        Maximum number of steps.
    candidates
        Number of classes that are considered, y included: those with the highest logits at x.
    overshoot
        Points are tried this much beyond the sum of the steps (0.02: 2 %).
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
                rivals = other_classes(logits, y, candidates - 1)
            crossed = logits.argmax(1) != y[moving]
            done = moving[crossed]
            points[done] = z.detach()[crossed].to(points.dtype)
            distances[done] = per_image_norm(points[done] - x[done], norm)
            if step == steps or crossed.all():
                break
            move = step_to_nearest_boundary(logits, z, y[moving], rivals, norm)
            still_moves = ~crossed
            moving, rivals, total = (
                moving[still_moves],
                rivals[still_moves],
                (total + move)[still_moves],
            )
            z = clip(x[moving] + (1 + overshoot) * total, bounds)
    return BoundaryPoints(points, distances)


def step_to_nearest_boundary(
    logits: Tensor, z: Tensor, y: Tensor, rivals: Tensor, norm: float
) -> Tensor:
    """Return the shortest step from z that makes the logit of one of the rivals equal to that of y
    if the logits were linear in z. Shape of z."""
    dual = 1 if norm == math.inf else 2
    nearest = torch.full_like(logits[:, 0], math.inf)
    best = torch.zeros_like(z)
    for rival in rivals.unbind(1):
        difference = logit_of(logits, y) - logit_of(logits, rival)
        (slope,) = torch.autograd.grad(-difference.sum(), z, retain_graph=True)
        check_gradient(slope)
        distance = difference.detach().abs() / per_image_norm(slope, dual).clamp_min(MIN_SLOPE)
        nearer = distance < nearest
        nearest = torch.where(nearer, distance, nearest)
        best = torch.where(broadcast(nearer, z), slope, best)
    return broadcast(nearest.detach() + EXTRA_STEP, z) * ascent_direction(best, norm)
