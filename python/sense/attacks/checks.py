"""What every attack asks of its arguments, and the promise that it leaves the model as it was."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .geometry import Bounds, per_image_norm

NORMS = (math.inf, 2.0, 1.0)


def check_arguments(
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    norm: float,
    bounds: Bounds,
    c: float | None = None,
) -> None:
    """Raise ValueError, saying what was wrong and what to pass, before any work is done."""
    if not x.is_floating_point():
        raise ValueError(f"x must be a floating point tensor in {bounds}, got {x.dtype}")
    if y.dtype != torch.int64 or y.shape != x.shape[:1]:
        raise ValueError(
            f"y must hold one int64 label an image, shape ({len(x)},), "
            f"got {y.dtype} of shape {tuple(y.shape)}"
        )
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"eps must be a finite number >= 0, such as 8/255, got {eps}")
    if not (math.isfinite(step_size) and step_size > 0):
        raise ValueError(f"step_size must be a finite number > 0, got {step_size}")
    if not (isinstance(steps, int) and steps >= 1):
        raise ValueError(f"steps must be a whole number >= 1, got {steps!r}")
    if norm not in NORMS:
        raise ValueError(f"norm must be inf, 2 or 1, got {norm!r}")
    if not bounds[0] < bounds[1]:
        raise ValueError(f"bounds must be (low, high) with low < high, got {bounds}")
    if c is not None and not 0 <= c <= 1:
        raise ValueError(f"c is a probability, from 0 to 1, got {c}")


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside (no dropout, batch norm by its running statistics, which are not
    updated), each module's own mode again outside. Gradients are on inside, whatever the caller
    had, and gradients of parameters are never written."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def check_adversarial(
    x_adv: Tensor, x: Tensor, *, eps: float, norm: float, bounds: Bounds = (0, 1)
) -> None:
    """Raise ArithmeticError unless the attack kept to its rules: finite, inside the bounds, and
    inside the ball but for rounding."""
    if not len(x):
        return
    slack = 16 * torch.finfo(x.dtype).eps
    farthest = float(per_image_norm(x_adv - x, norm).max())
    if not torch.isfinite(x_adv).all():
        raise ArithmeticError("an attack gave pixels that are NaN or infinite")
    if x_adv.min() < bounds[0] or x_adv.max() > bounds[1]:
        raise ArithmeticError(f"an attack left the pixel bounds {bounds}")
    if farthest > eps + slack * (x[0].numel() if norm == 1 else 1):
        raise ArithmeticError(f"an attack went to a distance of {farthest}, past eps = {eps}")
