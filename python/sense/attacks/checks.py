"""Check that adversarial images are in the ball and in the bounds."""

import math

import torch
from torch import Tensor

from .geometry import Bounds, Radius, clip, per_image_norm


def check_ball_and_bounds(
    x_adv: Tensor, x: Tensor, *, eps: Radius, norm: float, bounds: Bounds = (0, 1)
) -> None:
    """Raise ArithmeticError unless the images are finite, in the bounds, and in the ball of radius
    eps up to `rounding_error`."""
    if not len(x):
        return
    if not torch.isfinite(x_adv).all():
        raise ArithmeticError("an attack gave pixels that are NaN or infinite")
    if not torch.equal(clip(x_adv, bounds), x_adv):
        raise ArithmeticError(f"an attack left the pixel bounds {bounds}")
    distance = per_image_norm(x_adv - x, norm)
    worst = int((distance - eps).argmax())
    radius = float(eps[worst]) if isinstance(eps, Tensor) else eps
    if distance[worst] > radius + rounding_error(x, norm, bounds):
        raise ArithmeticError(
            f"an attack went to a distance of {float(distance[worst])}, past eps = {radius}"
        )


def rounding_error(x: Tensor, norm: float, bounds: Bounds) -> float:
    """Return by how much a projected point may exceed eps: 16 units in the last place of the
    largest pixel value (of x, if there are no bounds) in each of the d pixels. For images of 28 x
    28 pixels in [0, 1] and float32 that is 2e-6 for l-infinity, 5e-5 for l2 and 1.5e-3 for l1."""
    largest = max(float(torch.as_tensor(bound).abs().max()) for bound in bounds)
    if not math.isfinite(largest):
        largest = 1 + float(x.abs().max())
    pixel = 16 * torch.finfo(x.dtype).eps * largest
    return pixel * x[0].numel() ** (1 / norm)
