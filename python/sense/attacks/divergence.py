"""The attack of TRADES (Zhang et al. 2019): a point whose prediction differs most from x's."""

import math

import torch
from torch import Tensor, nn

from .. import random_numbers
from .arguments import public
from .geometry import Bounds, broadcast, clip_then_shrink, near_point, per_image_norm
from .losses import divergence
from .modes import Mode, attack_mode
from .output_checks import check_gradient
from .pgd import ascend


@public((math.inf, 2.0))
def divergence_pgd(
    model: nn.Module,
    x: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    norm: float = math.inf,
    start: Tensor | None = None,
    mode: Mode = "evaluation",
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Images of the eps ball with a high KL(p(x) || p(x')); no label is used.

    Parameters
    ----------
    model, x, eps, step_size, steps, mode
        As in `pgd`.
    norm
        inf or 2. For 2 the step is 2 eps / K, whatever `step_size` is, as the authors have it;
        where the gradient is zero the step is a normal draw; and the point is put into the bounds
        first and into the ball second.
    start
        Where to start; x with normal noise of standard deviation 0.001 unless given.

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    z = near_point(x) if start is None else start
    with attack_mode(model, mode) as network:
        with torch.no_grad():
            reference = network(x)

        def objective(z: Tensor) -> Tensor:
            return divergence(reference, network(z)).sum()

        if norm == math.inf:
            return ascend(
                objective, z, x, eps=eps, step_size=step_size, steps=steps, norm=norm, bounds=bounds
            )
        for _ in range(steps):
            z = z.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(objective(z), z)
            moved = z.detach() + 2 * eps / steps * _unit(gradient)
            z = clip_then_shrink(moved, x, eps, bounds)
    return z.detach().clamp(*bounds)


def _unit(gradient: Tensor) -> Tensor:
    """Each image's gradient over its l2 norm; a normal draw where that is zero."""
    check_gradient(gradient)
    length = per_image_norm(gradient, 2)
    unit, flat = gradient / broadcast(length, gradient), length == 0
    if flat.any():
        with random_numbers.sharing(None):
            unit[flat] = random_numbers.normal(unit[flat])
    return unit
