"""The lp balls that attacks move in: ascent direction, projection, random start.

Images are batch first, of any shape; eps and step sizes are in the units of the pixels.
"""

import math

import torch
from torch import Tensor

Bounds = tuple[float, float]


def ascent_direction(gradient: Tensor, norm: float) -> Tensor:
    """The step of unit lp length along each image's gradient: Algorithm 1, line 5 (the sign, for
    l-infinity) and Algorithm 2, line 5 (the normalised gradient, for l1 and l2).

    A zero gradient gives no step.
    """
    if norm == math.inf:
        return gradient.sign()
    tiny = torch.finfo(gradient.dtype).tiny
    # The largest entry first becomes 1: the square of a small one would be 0.
    for p in (math.inf, norm):
        gradient = gradient / broadcast(per_image_norm(gradient, p).clamp_min(tiny), gradient)
    return gradient


def project(z: Tensor, x: Tensor, eps: float, norm: float, bounds: Bounds) -> Tensor:
    """A point of the lp ball of radius eps around x and of the pixel bounds, near z.

    The ball comes first, the bounds second: clipping towards a box that holds x shortens every
    coordinate of z - x, so the point stays in the ball.
    """
    delta = z - x
    if norm == math.inf:
        delta = delta.clamp(-eps, eps)
    elif norm == 2:
        length = broadcast(per_image_norm(delta, 2), delta)
        tiny = torch.finfo(delta.dtype).tiny
        delta = delta * (eps / length.clamp_min(tiny)).clamp_max(1)
    else:
        delta = _project_l1(delta, eps)
    return (x + delta).clamp(*bounds)


def random_point(x: Tensor, eps: float, norm: float, bounds: Bounds) -> Tensor:
    """A point drawn uniformly from the lp ball around each image, then clipped to the bounds."""
    if norm == math.inf:
        noise = torch.empty_like(x).uniform_(-eps, eps)
    else:
        # A generalised normal draw over its norm is uniform on the sphere (in the cone measure);
        # the radius U^(1/dimension) fills the ball.
        noise = torch.randn_like(x) if norm == 2 else _laplace_like(x)
        radius = torch.rand(len(x), dtype=x.dtype, device=x.device) ** (1 / x[0].numel())
        noise = noise * broadcast(eps * radius / per_image_norm(noise, norm), x)
    return project(x + noise, x, eps, norm, bounds)


def per_image_norm(delta: Tensor, norm: float) -> Tensor:
    """The lp norm of each image of a batch: shape (n,)."""
    return torch.linalg.vector_norm(delta.flatten(1), ord=norm, dim=1)


def _project_l1(delta: Tensor, eps: float) -> Tensor:
    """Euclidean projection onto the l1 ball: a soft threshold, found by sorting the coordinates."""
    size = delta.abs().flatten(1)
    ordered = size.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - eps
    count = torch.arange(1, size.shape[1] + 1, dtype=size.dtype, device=size.device)
    kept = (ordered * count > excess).sum(1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, kept - 1) / kept).clamp_min(0)
    return delta.sign() * (size - threshold).clamp_min(0).view_as(delta)


def _laplace_like(x: Tensor) -> Tensor:
    exponential = torch.empty_like(x).exponential_()
    return exponential * (torch.rand_like(x) < 0.5).to(x.dtype).mul(2).sub(1)


def broadcast(per_image: Tensor, images: Tensor) -> Tensor:
    """One number an image, shape (n,), shaped to multiply or select a batch of images."""
    return per_image.view(-1, *[1] * (images.ndim - 1))
