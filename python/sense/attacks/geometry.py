"""The lp balls that attacks move in: ascent direction, projection, random start.

Images are batch first, of any shape; eps and step sizes are in the units of the pixels, one for
all images or one an image (shape (n,)).
"""

import math
from typing import Literal

import torch
from torch import Tensor

from .. import random_numbers
from .output_checks import check_gradient

Bounds = tuple[float, float]
Radius = float | Tensor  # a Tensor has one number per image, shape (n,)
L2Form = Literal["paper", "published"]
LEAST_NORM = 1e-6  # of the gradient of a mean loss, in the authors' code


def ascent_direction(gradient: Tensor, norm: float) -> Tensor:
    """The step of unit lp length along each image's gradient: Algorithm 1, line 5 (the sign, for
    l-infinity) and Algorithm 2, line 5 (the normalised gradient, for l1 and l2).

    A zero gradient gives no step, a NaN a NaN.
    """
    check_gradient(gradient)
    if norm == math.inf:
        return gradient.sign().masked_fill_(gradient.isnan(), math.nan)
    tiny = torch.finfo(gradient.dtype).tiny
    # The largest entry first becomes 1: the square of a small one would be 0.
    for p in (math.inf, norm):
        gradient = gradient / broadcast(per_image_norm(gradient, p).clamp_min(tiny), gradient)
    return gradient


def published_direction(gradient: Tensor, batch_size: int) -> Tensor:
    """The l2 step of the authors' code: the gradient of the mean loss of the batch over its norm,
    or over `LEAST_NORM` where the norm is less. The step of an image of which the network is sure
    is then shorter than 1. `gradient` is that of the sum of the losses."""
    check_gradient(gradient)
    length = per_image_norm(gradient, 2).clamp_min(LEAST_NORM * batch_size)
    return gradient / broadcast(length, gradient)


def project(z: Tensor, x: Tensor, eps: Radius, norm: float, bounds: Bounds) -> Tensor:
    """A point of the lp ball of radius eps around x and of the pixel bounds, near z.

    The ball comes first, the bounds second: clipping towards a box that holds x shortens every
    coordinate of z - x, so the point stays in the ball.
    """
    delta, eps = z - x, spread(eps, x)
    if norm == math.inf:
        delta = delta.clamp_(-eps, eps)  # type: ignore[arg-type]
    elif norm == 2:
        delta = shrink(delta, eps)
    else:
        delta = _project_l1(delta, eps)
    return delta.add_(x).clamp_(*bounds)


def clip_then_shrink(z: Tensor, x: Tensor, eps: Radius, bounds: Bounds) -> Tensor:
    """As `project` for l2, but the bounds first, the ball second, as TRADES and advertorch have
    it: another point of the same set."""
    return x + shrink(z.clamp(*bounds) - x, spread(eps, x))


def shrink(delta: Tensor, eps: Radius) -> Tensor:
    """delta, or where its l2 norm is more than eps (a number, or n x 1 x 1 x 1) that much of it."""
    length = broadcast(per_image_norm(delta, 2), delta)
    tiny = torch.finfo(delta.dtype).tiny
    return delta * (eps / length.clamp_min(tiny)).clamp_max(1)


def random_point(x: Tensor, eps: Radius, norm: float, bounds: Bounds) -> Tensor:
    """A point drawn uniformly from the lp ball around each image, then clipped to the bounds."""
    if norm == math.inf:
        if isinstance(eps, Tensor):
            noise = random_numbers.uniform(x, -1, 1) * broadcast(eps, x)
        else:
            noise = random_numbers.uniform(x, -eps, eps)
    else:
        # A generalised normal draw over its norm is uniform on the sphere (in the cone measure);
        # the radius U^(1/dimension) fills the ball.
        noise = random_numbers.normal(x) if norm == 2 else _laplace_like(x)
        radius = random_numbers.uniform(x.new_empty(len(x))) ** (1 / x[0].numel())
        noise = noise * broadcast(eps * radius / per_image_norm(noise, norm), x)
    return project(x + noise, x, eps, norm, bounds)


def pulled_image(x: Tensor, eps: Radius, bounds: Bounds) -> Tensor:
    """The random l2 start of the authors' code: an image of uniform pixels, pulled into the ball
    around each image. In high dimensions nearly all of these lie at the distance eps."""
    low, high = bounds
    return project(low + (high - low) * random_numbers.uniform(x), x, eps, 2, bounds)


def per_image_norm(delta: Tensor, norm: float) -> Tensor:
    """The lp norm of each image of a batch: shape (n,)."""
    return torch.linalg.vector_norm(delta.flatten(1), ord=norm, dim=1)


def _project_l1(delta: Tensor, eps: Radius) -> Tensor:
    """Euclidean projection onto the l1 ball: a soft threshold, found by sorting the coordinates."""
    size = delta.abs().flatten(1)
    ordered = size.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - (eps.flatten(1) if isinstance(eps, Tensor) else eps)
    count = torch.arange(1, size.shape[1] + 1, dtype=size.dtype, device=size.device)
    kept = (ordered * count > excess).sum(1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, kept - 1) / kept).clamp_min(0)
    return delta.sign() * (size - threshold).clamp_min(0).view_as(delta)


def _laplace_like(x: Tensor) -> Tensor:
    exponential = random_numbers.exponential(x)
    return exponential * (random_numbers.uniform(x) < 0.5).to(x.dtype).mul(2).sub(1)


def near_point(x: Tensor) -> Tensor:
    """Each image with a little normal noise, where TRADES and MART start; neither in the ball nor
    in the bounds by force, since the first step brings it there."""
    return x + 0.001 * random_numbers.normal(x)


def spread(eps: Radius, x: Tensor) -> Radius:
    """One number for all images as it is; one an image shaped to go with the batch x."""
    return broadcast(eps, x) if isinstance(eps, Tensor) else eps


def broadcast(per_image: Tensor, images: Tensor) -> Tensor:
    """One number an image, shape (n,), shaped to multiply or select a batch of images."""
    return per_image.view(-1, *[1] * (images.ndim - 1))
