"""What every attack asks of its arguments, and what it promises of its images."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .geometry import Bounds, Radius, per_image_norm

NORMS = (math.inf, 2.0, 1.0)


def check_arguments(
    x: Tensor,
    y: Tensor,
    *,
    eps: Radius,
    norm: float,
    bounds: Bounds,
    step_size: Radius | None = None,
    steps: int | None = None,
    c: float | None = None,
    norms: tuple[float, ...] = NORMS,
) -> None:
    """Raise ValueError, saying what was wrong and what to pass, before any work is done.

    `norms` are those that the attack knows; what is None it does not have."""
    if not x.is_floating_point():
        raise InputError(f"x must be a floating point tensor in {bounds}, got {x.dtype}")
    if y.dtype != torch.int64 or y.shape != x.shape[:1]:
        raise InputError(
            f"y must hold one int64 label an image, shape ({len(x)},), "
            f"got {y.dtype} of shape {tuple(y.shape)}"
        )
    for name, value in (("eps", eps), ("step_size", step_size)):
        if isinstance(value, Tensor) and value.shape != x.shape[:1]:
            raise InputError(
                f"{name} must be a number or one an image, shape ({len(x)},), "
                f"got shape {tuple(value.shape)}"
            )
    least = eps if not isinstance(eps, Tensor) else float(eps.min()) if len(eps) else 0.0
    if not (math.isfinite(least) and least >= 0):
        raise InputError(f"eps must be a finite number >= 0, such as 8/255, got {least}")
    if step_size is not None:
        least = (
            step_size
            if not isinstance(step_size, Tensor)
            else (float(step_size.min()) if len(step_size) else 1.0)
        )
        if not (math.isfinite(least) and least > 0):
            raise InputError(f"step_size must be a finite number > 0, got {least}")
    if steps is not None and not (isinstance(steps, int) and steps >= 1):
        raise InputError(f"steps must be a whole number >= 1, got {steps!r}")
    if norm not in norms:
        raise InputError(f"norm must be {one_of(norms)}, got {norm!r}")
    if not bounds[0] < bounds[1]:
        raise InputError(f"bounds must be (low, high) with low < high, got {bounds}")
    if c is not None and not 0 <= c <= 1:
        raise InputError(f"c is a probability, from 0 to 1, got {c}")


def one_of(values: Sequence[object]) -> str:
    """As in a sentence: inf, 2.0 or 1.0 is "inf, 2 or 1"."""
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def check_adversarial(
    x_adv: Tensor, x: Tensor, *, eps: Radius, norm: float, bounds: Bounds = (0, 1)
) -> None:
    """Raise ArithmeticError unless the attack kept to its rules: finite, inside the bounds, and
    inside the ball but for rounding, see `rounding`."""
    if not len(x):
        return
    if not torch.isfinite(x_adv).all():
        raise ArithmeticError("an attack gave pixels that are NaN or infinite")
    if x_adv.min() < bounds[0] or x_adv.max() > bounds[1]:
        raise ArithmeticError(f"an attack left the pixel bounds {bounds}")
    distance = per_image_norm(x_adv - x, norm)
    worst = int((distance - eps).argmax())
    radius = float(eps[worst]) if isinstance(eps, Tensor) else eps
    if distance[worst] > radius + rounding(x, norm, bounds):
        raise ArithmeticError(
            f"an attack went to a distance of {float(distance[worst])}, past eps = {radius}"
        )


def rounding(x: Tensor, norm: float, bounds: Bounds) -> float:
    """How much farther than eps a point may be that was put into the ball: 16 units in the last
    place of the largest pixel value, in each of the d pixels. For images of 28 x 28 pixels in
    [0, 1] and float32 that is 2e-6 for l-infinity, 5e-5 for l2 and 1.5e-3 for l1."""
    pixel = 16 * torch.finfo(x.dtype).eps * max(map(abs, bounds))
    return pixel * x[0].numel() ** (1 / norm)
