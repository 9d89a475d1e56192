"""PGD towards each of the other classes in turn."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, random_point
from .losses import MarginLoss, margin, other_classes, targeted_dlr, targeted_margin
from .modes import attack_mode
from .pgd import ascend

TARGETED_LOSSES = {"margin": targeted_margin, "dlr": targeted_dlr}


@checked_attack()
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
    """Return the worst image of several runs of PGD, each towards one other class.

    Parameters
    ----------
    model, x, y, eps, step_size, steps, norm, random_start, bounds
        As in `pgd`. Each run has its own random start, from torch's global generator.
    targets
        Number of target classes, the most probable at x first (default: all other classes). An
        image that is misclassified after one target is not attacked with the next.
    loss
        "margin": the logit of the target minus that of y. "dlr": the same divided by the largest
        minus the mean of the third and fourth logit (at least 4 classes).

    Returns
    -------
    The adversarial images: shape, type and device of x. If no target breaks an image, the one with
    the highest margin among the end points and x is returned.
    """
    worst = x.clone()
    if not len(x):
        return worst
    with attack_mode(model, "evaluation"):
        with torch.no_grad():
            logits = model(x)
        best, ranked = margin(logits, y), other_classes(logits, y, targets or logits.shape[1])
        for target in ranked.unbind(1):
            remaining = (best <= 0).nonzero().squeeze(1)
            if not len(remaining):
                break
            origin, label = x[remaining], y[remaining]
            z = ascend(
                targeted_objective(target[remaining], model, label, loss),
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
            better = reached > best[remaining]
            worst[remaining[better]], best[remaining[better]] = z[better], reached[better]
    return worst


def targeted_objective(
    target: Tensor, model: nn.Module, y: Tensor, loss: MarginLoss
) -> Callable[[Tensor], Tensor]:
    """Return the objective of PGD: the targeted loss, summed over the images."""
    return lambda z: TARGETED_LOSSES[loss](model(z), y, target).sum()
