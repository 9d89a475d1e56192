"""The fast gradient sign method (Goodfellow et al. 2015): one step of length eps."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, Radius
from .modes import attack_mode
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
    with attack_mode(model, "evaluation"):
        return ascend(
            lambda z: F.cross_entropy(model(z), y, reduction="sum"),
            x,
            x,
            eps=eps,
            step_size=eps,
            steps=1,
            norm=norm,
            bounds=bounds,
        )
