"""PGD towards each of the other classes in turn: finds what the way to the nearest class hides."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .arguments import public
from .geometry import Bounds, random_point
from .losses import MarginLoss, margin, others, targeted_dlr, targeted_margin
from .modes import attack_mode
from .pgd import ascend

LOSSES = {"margin": targeted_margin, "dlr": targeted_dlr}


@public()
def targeted_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    norm: float = math.inf,
    targets: int | None = None,
    loss: MarginLoss = "margin",
    random_start: bool = True,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """The worst image of several runs of PGD, each of which raises one other class above y.

    Parameters
    ----------
    model, x, y, eps, step_size, steps, norm, random_start, bounds
        As in `pgd`. Each run has a random start of its own, from torch's global generator.
    targets
        How many other classes, the most probable at x first; all of them unless given. An image
        that one target breaks is not attacked with the next.
    loss
        "margin", the target's logit less that of y, or "dlr", the same over the largest less the
        mean of the third and the fourth (4 classes or more).

    Returns
    -------
    The adversarial images: shape, type and device of x. An image that no target breaks is the one
    that came nearest: with the highest margin of the end points and x.
    """
    worst = x.clone()
    if not len(x):
        return worst
    with attack_mode(model, "evaluation"):
        with torch.no_grad():
            logits = model(x)
        best, ranked = margin(logits, y), others(logits, y, targets or logits.shape[1])
        for target in ranked.unbind(1):
            standing = (best <= 0).nonzero().squeeze(1)
            if not len(standing):
                break
            origin, label = x[standing], y[standing]
            z = ascend(
                towards(target[standing], model, label, loss),
                random_point(origin, eps, norm, bounds) if random_start else origin,
                origin,
                eps=eps,
                step_size=step_size,
                steps=steps,
                norm=norm,
                bounds=bounds,
            )
            with torch.no_grad():
                reached = margin(model(z), label)
            better = reached > best[standing]
            worst[standing[better]], best[standing[better]] = z[better], reached[better]
    return worst


def towards(
    target: Tensor, model: nn.Module, y: Tensor, loss: MarginLoss
) -> Callable[[Tensor], Tensor]:
    """What PGD climbs: the sum over images of how far the target is above y."""
    return lambda z: LOSSES[loss](model(z), y, target).sum()
