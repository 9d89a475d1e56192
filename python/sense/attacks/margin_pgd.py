"""PGD on the margin between logits instead of the cross-entropy, whose gradient vanishes where
the predicted probability is close to 1 (Carlini and Wagner 2017; Croce and Hein 2020)."""

import math

from torch import Tensor, nn

from .arguments import checked_attack
from .geometry import Bounds, Radius, random_point
from .losses import MarginLoss, dlr, margin
from .modes import attack_mode
from .pgd import ascend

MARGIN_LOSSES = {"margin": margin, "dlr": dlr}


@checked_attack()
def margin_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: Radius,
    step_size: Radius,
    steps: int,
    norm: float = math.inf,
    loss: MarginLoss = "margin",
    random_start: bool = True,
    start: Tensor | None = None,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Return images of the eps ball where the logit of another class is far above that of y.

    Parameters
    ----------
    model, x, y, eps, step_size, steps, norm, random_start, start, bounds
        As in `pgd`. The random start is drawn from torch's global generator.
    loss
        "margin": the largest other logit minus that of y. "dlr": the same divided by the largest
        minus the third logit (at least 3 classes).

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    if start is None:
        start = random_point(x, eps, norm, bounds) if random_start else x
    with attack_mode(model, "evaluation"):
        return ascend(
            lambda z: MARGIN_LOSSES[loss](model(z), y).sum(),
            start,
            x,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            bounds=bounds,
        )
