"""The sensible adversary: PGD that turns back before the model's confidence falls below c.

Algorithm 1 (l-infinity) and Algorithm 2 (lp) of the paper; Definition 3 and eq. (12).
"""

import math
from enum import IntEnum
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .boundary import Boundary, Crossing, settle
from .checks import check_arguments
from .geometry import Bounds, ascent_direction, broadcast, project, random_point
from .losses import divergence
from .modes import Mode, attack_mode

StageTest = Literal["natural", "start"]


class Stage(IntEnum):
    """What became of an image (section 4.2): it stayed, was turned back, or took all steps."""

    A = 0
    B = 1
    C = 2


class Sensible(NamedTuple):
    """Adversarial images; each one's `Stage` (uint8, shape (n,)); and how far below log(1/c) its
    loss is where it was turned back (NaN where it was not)."""

    x_adv: Tensor
    stages: Tensor
    gaps: Tensor


def sensible(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    c: float,
    norm: float = math.inf,
    random_start: bool = False,
    stage_test: StageTest = "natural",
    boundary: Boundary = "revert",
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Sensible adversarial training examples x^s.

    An image that is misclassified or has p_y(x) <= c stays as it is (stage A). The others take
    steps of PGD; the first step that takes the loss past log(1/c) is taken back, and the image
    is frozen there (stage B). Those never turned back make all steps (stage C).

    Parameters
    ----------
    model, x, y, eps, step_size, steps, norm
        As in `pgd`.
    c
        Lowest probability of the true class that a moved image may have, from 0 to 1.
        c = 1 leaves every image as it is; c = 0 never turns back.
    random_start
        Start from a uniform point of the ball. A start that is itself past log(1/c) is replaced
        by x. The paper starts from x.
    stage_test
        Judge stage A at the natural image, as the paper does, or with "start" at the random
        start, as the authors' code does: stage A images are then left at their random start.
    boundary
        What becomes of an image in stage B: "revert" leaves it before the step that was too far,
        as Algorithm 1 does; "noise" goes on from there with noise; "bisect" searches that step for
        the point where the loss is log(1/c), see `boundary`.

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    return sensible_with_stages(
        model, x, y, eps=eps, step_size=step_size, steps=steps, c=c, norm=norm,
        random_start=random_start, stage_test=stage_test, boundary=boundary, bounds=bounds,
    ).x_adv  # fmt: skip


def sensible_with_stages(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    c: float,
    norm: float = math.inf,
    random_start: bool = False,
    stage_test: StageTest = "natural",
    boundary: Boundary = "revert",
    bisections: int = 8,
    revert: bool = True,
    reference: Tensor | None = None,
    mode: Mode = "evaluation",
    bounds: Bounds = (0, 1),
) -> Sensible:
    """`sensible`, with the stage of each image.

    With `revert` off no step is taken back, so that there is no stage B: the paper's warm-up.

    With `reference`, logits (n, classes) of the natural images, the loss after the first step is
    the divergence KL(softmax(reference) || softmax(model(z))), as in the authors' SENSE-TRADE:
    stage A and the first step still go by the cross-entropy, since the divergence is flat at x.
    """
    check_arguments(x, y, eps=eps, step_size=step_size, steps=steps, norm=norm, bounds=bounds, c=c)
    threshold = log_inverse(c)
    turning_point = threshold if revert else math.inf
    x = x.detach()
    x_adv, stages = x.clone(), torch.full_like(y, Stage.A, dtype=torch.uint8)
    gaps = torch.full_like(y, math.nan, dtype=x.dtype)
    moving = torch.arange(len(x), device=x.device)
    crossings: list[Crossing] = []

    def measure(z: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the loss that is climbed and compared with log(1/c)."""
        logits = model(z)
        if reference is not None:
            return logits, divergence(reference[images].detach(), logits)
        return logits, F.cross_entropy(logits, y[images], reduction="none")

    with attack_mode(model, mode):
        z = x
        if random_start:
            z = random_point(x, eps, norm, bounds)
            if stage_test == "start":
                x_adv = z.clone()
            else:
                z = torch.where(broadcast(stays(model, z, y, threshold), x), x, z)
                moving = (~stays(model, x, y, threshold)).nonzero().squeeze(1)
                z = z[moving]

        before, below = z, z.new_zeros(len(z))
        for step in range(steps + 1):
            if not len(moving):
                break
            if step == steps and turning_point == math.inf:
                before = z  # the last step needs no test, so no pass
                break
            # The pass that tests this step also gives the gradient of the next one.
            with torch.set_grad_enabled(step < steps):
                z = z.detach().requires_grad_(step < steps)
                logits, loss = measure(z, moving)
            if step == 0:
                climbed = loss
                if reference is not None:
                    climbed = F.cross_entropy(logits, y[moving], reduction="none")
                back = _is_stage_a(logits, climbed, y[moving], threshold)
            else:
                climbed, back = loss, loss > turning_point
                if back.any():
                    turned, left = moving[back], steps - step
                    crossings.append(
                        Crossing(turned, before[back], z.detach()[back], below[back],
                                 torch.full_like(turned, left))
                    )  # fmt: skip
            on = ~back
            moving, before, below = moving[on], z.detach()[on], loss.detach()[on]
            if step < steps and len(moving):
                (gradient,) = torch.autograd.grad(climbed[on].sum(), z)
                z = before + step_size * ascent_direction(gradient[on], norm)
                z = project(z, x[moving], eps, norm, bounds)
        if len(moving):
            x_adv[moving] = before
            stages[moving] = Stage.C

        if crossings:
            crossing = Crossing.join(crossings)
            inside, below = settle(
                boundary, measure, crossing, threshold, bisections, step_size, norm,
                lambda z, images: project(z, x[images], eps, norm, bounds),
            )  # fmt: skip
            x_adv[crossing.images] = inside
            stages[crossing.images] = Stage.B
            gaps[crossing.images] = (threshold - below).to(gaps)
    return Sensible(x_adv, stages, gaps)


def log_inverse(c: float) -> float:
    """The loss log(1/c) that a moved image may not pass; infinite for c = 0."""
    return -math.log(c) if c > 0 else math.inf


@torch.no_grad()
def stays(model: nn.Module, x: Tensor, y: Tensor, threshold: float) -> Tensor:
    """Stage A: misclassified, or a loss of log(1/c) or more. Boolean, shape (n,)."""
    logits = model(x)
    return _is_stage_a(logits, F.cross_entropy(logits, y, reduction="none"), y, threshold)


def _is_stage_a(logits: Tensor, loss: Tensor, y: Tensor, threshold: float) -> Tensor:
    return (logits.argmax(1) != y) | (loss >= threshold)
