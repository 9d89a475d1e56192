"""Geometry of lp balls: ascent direction, projection, random points.

Images are batch first, of any shape. eps and step sizes are in the units of the pixels: one number
for all images or one per image, shape (n,).
"""

import math
from typing import Literal

import torch
from torch import Tensor

from .. import random_numbers
from .output_checks import check_gradient

# The lowest and the highest value of a pixel or feature; tensors of the shape of one image (or one
# row of features) give each its own. Infinite: no bounds.
Bounds = tuple[float, float] | tuple[Tensor, Tensor]
# A Tensor has one number per image, shape (n,), or one number for all, shape ().
Radius = float | Tensor
L2Form = Literal["paper", "published"]
MIN_GRADIENT_NORM = 1e-6  # smallest norm of the gradient of a mean loss, in the authors' code


def ascent_direction(gradient: Tensor, norm: float) -> Tensor:
    """Return the step of unit lp length along the gradient of each image: Algorithm 1, line 5 (the
    sign, for l-infinity) and Algorithm 2, line 5 (the normalised gradient, for l1 and l2).

    A zero gradient gives a zero step, a NaN gives a NaN.
    """
    check_gradient(gradient)
    if norm == math.inf:
        return gradient.sign().masked_fill_(gradient.isnan(), math.nan)
    tiny = torch.finfo(gradient.dtype).tiny
    # First scale the largest entry to 1: the square of a tiny entry would be 0.
    for p in (math.inf, norm):
        gradient = gradient / broadcast(per_image_norm(gradient, p).clamp_min(tiny), gradient)
    return gradient


def published_direction(gradient: Tensor, batch_size: int) -> Tensor:
    """Return the l2 step of the authors' code: the gradient of the mean loss of the batch divided
    by its norm, or by `MIN_GRADIENT_NORM` if the norm is smaller. An image whose predicted
    probability is close to 1 then has a step shorter than 1. `gradient` is that of the summed
    losses."""
    check_gradient(gradient)
    length = per_image_norm(gradient, 2).clamp_min(MIN_GRADIENT_NORM * batch_size)
    return gradient / broadcast(length, gradient)


def project(z: Tensor, x: Tensor, eps: Radius, norm: float, bounds: Bounds) -> Tensor:
    """Return z projected into the lp ball of radius eps around x, then clipped to the bounds.

    Clipping to a box that contains x shortens every coordinate of z - x, so the point stays in the
    ball.
    """
    delta, eps = z - x, broadcast_radius(eps, x)
    if norm == math.inf:
        delta = delta.clamp_(-eps, eps)  # type: ignore[arg-type]
    elif norm == 2:
        delta = project_l2(delta, eps)
    else:
        delta = _project_l1(delta, eps)
    return clip_(delta.add_(x), bounds)


def clip(z: Tensor, bounds: Bounds) -> Tensor:
    """Return z clipped to the bounds."""
    return z.clamp(*bounds)


def clip_(z: Tensor, bounds: Bounds) -> Tensor:
    """`clip` in place."""
    return z.clamp_(*bounds)


def bounds_on(bounds: Bounds, device: torch.device) -> Bounds:
    """Return the bounds, with those that are tensors on the device."""
    low, high = bounds
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        return low.to(device), high.to(device)
    return bounds


def is_unit_range(bounds: Bounds) -> bool:
    """Return whether the bounds are the numbers 0 and 1, those of pixels."""
    return not isinstance(bounds[0], Tensor) and bounds == (0, 1)


def has_finite_bounds(bounds: Bounds) -> bool:
    """Return whether every pixel or feature has two finite bounds."""
    return all(bool(torch.isfinite(torch.as_tensor(bound)).all()) for bound in bounds)


def clip_then_project_l2(z: Tensor, x: Tensor, eps: Radius, bounds: Bounds) -> Tensor:
    """As `project` for l2, but clipped to the bounds first and projected into the ball second, as
    in TRADES and advertorch: another point of the same set."""
    return x + project_l2(clip(z, bounds) - x, broadcast_radius(eps, x))


def project_l2(delta: Tensor, eps: Radius) -> Tensor:
    """Return delta, scaled to the l2 norm eps (a number, or n x 1 x 1 x 1) where it is longer."""
    length = broadcast(per_image_norm(delta, 2), delta).clamp_min(torch.finfo(delta.dtype).tiny)
    # A number over a tensor is computed by torch as its product with the reciprocal.
    one = isinstance(eps, Tensor) and not eps.dim()
    return delta * (length.reciprocal() * eps if one else eps / length).clamp_max(1)


def random_point(x: Tensor, eps: Radius, norm: float, bounds: Bounds) -> Tensor:
    """Return a point drawn uniformly from the lp ball around each image, clipped to the bounds."""
    if norm == math.inf:
        if isinstance(eps, Tensor):
            noise = random_numbers.uniform(x, -1, 1) * broadcast(eps, x)
        else:
            noise = random_numbers.uniform(x, -eps, eps)
    else:
        # A generalised normal draw over its norm is uniform on the sphere (in the cone measure);
        # the radius U^(1/dimension) fills the ball.
        noise = random_numbers.normal(x) if norm == 2 else _laplace_like(x)
        radius = random_numbers.uniform(x.new_empty(len(x))) ** (1 / math.prod(x.shape[1:]))
        noise = noise * broadcast(eps * radius / per_image_norm(noise, norm), x)
    return project(x + noise, x, eps, norm, bounds)


def projected_uniform_image(x: Tensor, eps: Radius, bounds: Bounds) -> Tensor:
    """Return the random l2 start of the authors' code: an image of uniform pixels, projected into
    the ball around each image. In high dimensions nearly all of these have the distance eps. If a
    bound is infinite there is no uniform image, and the start is uniform in the ball."""
    low, high = bounds
    if not has_finite_bounds(bounds):
        return random_point(x, eps, 2, bounds)
    return project(low + (high - low) * random_numbers.uniform(x), x, eps, 2, bounds)


def per_image_norm(delta: Tensor, norm: float) -> Tensor:
    """Return the lp norm of each image of a batch: shape (n,)."""
    return torch.linalg.vector_norm(delta.flatten(1), ord=norm, dim=1)


def _project_l1(delta: Tensor, eps: Radius) -> Tensor:
    """Return the Euclidean projection onto the l1 ball: a soft threshold, found by sorting."""
    size = delta.abs().flatten(1)
    ordered = size.sort(dim=1, descending=True).values
    radius = eps.flatten(1) if isinstance(eps, Tensor) and eps.dim() else eps
    excess = ordered.cumsum(1) - radius
    count = torch.arange(1, size.shape[1] + 1, dtype=size.dtype, device=size.device)
    kept = (ordered * count > excess).sum(1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, kept - 1) / kept).clamp_min(0)
    return delta.sign() * (size - threshold).clamp_min(0).view_as(delta)


def _laplace_like(x: Tensor) -> Tensor:
    exponential = random_numbers.exponential(x)
    return exponential * (random_numbers.uniform(x) < 0.5).to(x.dtype).mul(2).sub(1)


def noisy_start(x: Tensor) -> Tensor:
    """Return x with normal noise of standard deviation 0.001, where TRADES and MART start. It is
    not projected: the first step of the attack does that."""
    return x + 0.001 * random_numbers.normal(x)


def broadcast_radius(eps: Radius, x: Tensor) -> Radius:
    """Return one number as it is; one number per image in a shape that broadcasts with x."""
    return broadcast(eps, x) if isinstance(eps, Tensor) and eps.dim() else eps


def broadcast(per_image: Tensor, images: Tensor) -> Tensor:
    """Return one value per image, shape (n,), in a shape that broadcasts with the images."""
    return per_image.view(-1, *[1] * (images.ndim - 1))
