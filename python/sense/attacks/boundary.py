"""Where an image ends that the sensible adversary turned back: three rules.

Algorithm 1 leaves it at the last point before the step that took its loss past log(1/c), anywhere
below. Eq. (13) asks for the point where the loss is log(1/c). No rule gives a point past that.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .. import random_numbers
from .geometry import broadcast, random_point

Boundary = Literal["revert", "noise", "bisect"]
Measure = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (points, which images): logits, loss


class Crossing(NamedTuple):
    """Images whose step crossed log(1/c): which of the batch (int64, shape (m,)), the last point
    before and the first point past (m images each), the loss before, and how many steps were then
    left (int64, shape (m,))."""

    images: Tensor
    inside: Tensor
    outside: Tensor
    loss: Tensor
    left: Tensor


def settle(
    rule: Boundary,
    measure: Measure,
    turned: Crossing,
    limit: float,
    bisections: int,
    step_size: float,
    norm: float,
    direction: Callable[[Tensor], Tensor],
    project: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Where the images that were turned back, if any, end by the rule, and their losses there.

    `limit` is log(1/c); `direction` makes of gradients steps of length 1; `project` puts
    points, of the images named second, back where they may be.
    """
    if not len(turned.images):
        return turned.inside, turned.loss
    if rule == "bisect":
        return bisect(measure, turned, limit, bisections)
    if rule == "noise":
        return keep_on(measure, turned, limit, step_size, norm, direction, project)
    return turned.inside, turned.loss  # sensible reversion


@torch.no_grad()
def bisect(
    measure: Measure, turned: Crossing, limit: float, bisections: int
) -> tuple[Tensor, Tensor]:
    """The points on the way from before to past where the loss is as near below the limit as so
    many halvings find, and their losses. Forward passes only; the way is straight, so it is in
    the ball and in the bounds."""
    low, high = torch.zeros_like(turned.loss), torch.ones_like(turned.loss)
    inside, loss = turned.inside, turned.loss
    way = turned.outside - turned.inside
    for _ in range(bisections):
        middle = (low + high) / 2
        points = turned.inside + broadcast(middle, way) * way
        _, reached = measure(points, turned.images)
        fits = reached <= limit
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        inside = torch.where(broadcast(fits, points), points, inside)
        loss = torch.where(fits, reached, loss)
    return inside, loss


def keep_on(
    measure: Measure,
    turned: Crossing,
    limit: float,
    step_size: float,
    norm: float,
    direction: Callable[[Tensor], Tensor],
    project: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Go on with the steps that were left: after a step that is taken back, from the point before
    it with noise of at most a step's length, which has to stay below the limit too; else along the
    gradient. Gives the points with the highest loss met on the way, and those losses."""
    best, best_loss = turned.inside, turned.loss
    current, rejected = turned.inside, torch.ones_like(turned.loss, dtype=torch.bool)
    gradient = torch.zeros_like(current)
    for done in range(int(turned.left.max())):
        with random_numbers.sharing(None):
            noisy = random_point(current, step_size, norm, (-torch.inf, torch.inf))
        climbed = current + step_size * direction(gradient)
        z = torch.where(broadcast(rejected, current), noisy, climbed)
        z = project(z, turned.images).requires_grad_()
        _, loss = measure(z, turned.images)
        (gradient,) = torch.autograd.grad(loss.sum(), z)
        z, loss = z.detach(), loss.detach()
        # An image without steps left stays where it is.
        rejected = (loss > limit) | (turned.left <= done)
        current = torch.where(broadcast(rejected, z), current, z)
        better = ~rejected & (loss > best_loss)
        best = torch.where(broadcast(better, z), z, best)
        best_loss = torch.where(better, loss, best_loss)
    return best, best_loss
