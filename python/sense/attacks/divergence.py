"""The attack of TRADES (Zhang et al. 2019): PGD on the divergence from the prediction at x."""

import math

import torch
from torch import Tensor, nn

from .. import random_numbers
from .arguments import checked_attack
from .geometry import Bounds, broadcast, clip, clip_then_project_l2, noisy_start, per_image_norm
from .losses import divergence
from .modes import Mode, attack_mode, recorded_passes
from .output_checks import check_gradient
from .pgd import ascend


@checked_attack((math.inf, 2.0))
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
    """Return images of the eps ball with a high KL(p(x) || p(x')). No label is used.

    Parameters
    ----------
    model, x, eps, step_size, steps, mode
        As in `pgd`.
    norm
        inf or 2. For 2, as in the authors' code, the step size is 2 eps / K and not `step_size`;
        where the gradient is zero the step is a normal draw; and the point is clipped to the
        bounds first and projected into the ball second.
    start
        Where to start (default: x with normal noise of standard deviation 0.001).

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    z = noisy_start(x) if start is None else start
    recorded, graphs = recorded_passes(model, bounds)
    with attack_mode(model if norm == 2 else recorded, mode) as network:
        with torch.no_grad():
            reference = network(x)

        def objective(z: Tensor, reference: Tensor) -> Tensor:
            return divergence(reference, network(z)).sum()

        if norm == math.inf:
            return ascend(
                objective,
                z,
                x,
                reference,
                eps=eps,
                step_size=step_size,
                steps=steps,
                norm=norm,
                bounds=bounds,
                graphs=graphs,
                name="divergence",
            )
        for _ in range(steps):
            z = z.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(objective(z, reference), z)
            moved = z.detach() + 2 * eps / steps * _unit(gradient)
            z = clip_then_project_l2(moved, x, eps, bounds)
    return clip(z.detach(), bounds)


def _unit(gradient: Tensor) -> Tensor:
    """Return the gradient of each image divided by its l2 norm, or a normal draw where it is
    zero."""
    check_gradient(gradient)
    length = per_image_norm(gradient, 2)
    unit, flat = gradient / broadcast(length, gradient), length == 0
    if flat.any():
        with random_numbers.shared_batch(None):
            unit[flat] = random_numbers.normal(unit[flat])
    return unit
