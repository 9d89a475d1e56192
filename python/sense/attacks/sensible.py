"""The sensible adversary: PGD that turns back before the model's confidence falls below c.

Algorithm 1 (l-infinity) and Algorithm 2 (lp) of the paper; Definition 3 and eq. (12).
"""

import math
from enum import IntEnum
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import check_arguments, evaluation_mode
from .geometry import Bounds, ascent_direction, broadcast, project, random_point

StageTest = Literal["natural", "start"]


class Stage(IntEnum):
    """What became of an image (section 4.2): it stayed, was turned back, or took all steps."""

    A = 0
    B = 1
    C = 2


class Sensible(NamedTuple):
    """Adversarial images, and each one's `Stage` (uint8, shape (n,))."""

    x_adv: Tensor
    stages: Tensor


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

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    return sensible_with_stages(
        model, x, y, eps=eps, step_size=step_size, steps=steps, c=c, norm=norm,
        random_start=random_start, stage_test=stage_test, bounds=bounds,
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
    revert: bool = True,
    bounds: Bounds = (0, 1),
) -> Sensible:
    """`sensible`, with the stage of each image.

    With `revert` off no step is taken back, so that there is no stage B: the paper's warm-up.
    """
    check_arguments(x, y, eps=eps, step_size=step_size, steps=steps, norm=norm, bounds=bounds, c=c)
    threshold = log_inverse(c)
    turning_point = threshold if revert else math.inf
    x = x.detach()
    x_adv, stages = x.clone(), torch.full_like(y, Stage.A, dtype=torch.uint8)
    moving = torch.arange(len(x), device=x.device)
    with evaluation_mode(model):
        z = x
        if random_start:
            z = random_point(x, eps, norm, bounds)
            if stage_test == "start":
                x_adv = z.clone()
            else:
                z = torch.where(broadcast(stays(model, z, y, threshold), x), x, z)
                moving = (~stays(model, x, y, threshold)).nonzero().squeeze(1)
                z = z[moving]

        for step in range(steps + 1):
            if not len(moving):
                break
            if step == steps and turning_point == math.inf:
                before = z  # the last step needs no test, so no pass
                break
            # The pass that tests this step also gives the gradient of the next one.
            with torch.set_grad_enabled(step < steps):
                z = z.detach().requires_grad_(step < steps)
                logits = model(z)
                loss = F.cross_entropy(logits, y[moving], reduction="none")
            if step == 0:
                back = _is_stage_a(logits, loss, y[moving], threshold)
            else:
                back = loss > turning_point
                x_adv[moving[back]] = before[back]  # sensible reversion
                stages[moving[back]] = Stage.B
            on = ~back
            moving, before = moving[on], z.detach()[on]
            if step < steps and len(moving):
                (gradient,) = torch.autograd.grad(loss[on].sum(), z)
                z = before + step_size * ascent_direction(gradient[on], norm)
                z = project(z, x[moving], eps, norm, bounds)
        if len(moving):
            x_adv[moving] = before
            stages[moving] = Stage.C
    return Sensible(x_adv, stages)


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
