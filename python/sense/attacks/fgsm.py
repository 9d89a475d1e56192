"""The fast gradient sign method (Goodfellow et al. 2015): one step along the gradient."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, Radius
from .modes import Mode, attack_mode, recorded_passes
from .pgd import ascend


@checked_attack()
def fgsm(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: Radius,
    norm: float = math.inf,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Return x after one step of length eps along the gradient of the cross-entropy at x.

    Parameters
    ----------
    model, x, y, eps, norm, bounds
        As in `pgd`. For l2 and l1 the step is along the normalised gradient (the fast gradient
        method). Nothing is random.

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    return one_step(model, x, y, x, eps=eps, step_size=eps, norm=norm, bounds=bounds)


def one_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    start: Tensor,
    *,
    eps: Radius,
    step_size: Radius,
    norm: float,
    mode: Mode = "evaluation",
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Return `start` after one step along the gradient of the cross-entropy at `start`, projected
    into the ball around x and into the bounds. With eps = inf there is no ball."""
    model, graphs = recorded_passes(model, bounds)
    with attack_mode(model, mode) as network:
        return ascend(
            lambda z, y: F.cross_entropy(network(z), y, reduction="sum"),
            start,
            x,
            y,
            eps=eps,
            step_size=step_size,
            steps=1,
            norm=norm,
            bounds=bounds,
            graphs=graphs,
            name="cross-entropy",
        )
