"""The sensible adversary: PGD that turns back before the model's confidence falls below c.

Algorithm 1 (l-infinity) and Algorithm 2 (lp) of the paper; Definition 3 and eq. (12).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import random_numbers
from .arguments import public
from .boundary import Boundary, settle
from .compaction import granule, survivors
from .geometry import (
    Bounds,
    L2Form,
    ascent_direction,
    broadcast,
    project,
    published_direction,
    pulled_image,
    random_point,
)
from .losses import divergence
from .modes import Mode, attack_mode
from .state import Stage, StageTest, State


class Sensible(NamedTuple):
    """Adversarial images; each one's `Stage` (uint8, shape (n,)); and how far below log(1/c) its
    loss is where it was turned back (NaN where it was not)."""

    x_adv: Tensor
    stages: Tensor
    gaps: Tensor


@public()
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
    l2_form: L2Form = "paper",
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
    l2_form
        For norm 2: the step is the gradient over its norm and the random start uniform in the ball,
        as in the paper; or both as in the authors' code, see `published_direction` and
        `pulled_image`.

    Returns
    -------
    The adversarial images: shape, type and device of x.
    """
    return sensible_with_stages(
        model,
        x,
        y,
        eps=eps,
        step_size=step_size,
        steps=steps,
        c=c,
        norm=norm,
        random_start=random_start,
        stage_test=stage_test,
        boundary=boundary,
        l2_form=l2_form,
        bounds=bounds,
    ).x_adv


@public()
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
    compact_every: int | None = None,
    l2_form: L2Form = "paper",
    bounds: Bounds = (0, 1),
) -> Sensible:
    """`sensible`, with the stage of each image.

    With `revert` off no step is taken back, so that there is no stage B: the paper's warm-up.

    With `reference`, logits (n, classes) of the natural images, the loss after the first step is
    the divergence KL(softmax(reference) || softmax(model(z))), as in the authors' SENSE-TRADE:
    stage A and the first step still go by the cross-entropy, since the divergence is flat at x.

    Images that are done are left out of the batch before each `compact_every`-th pass, see
    `compaction`; until then they are computed in vain, and there is nothing that Python would have
    to wait for a device for. In evaluation mode that changes nothing but the time.
    """
    every = 1 if compact_every is None else compact_every
    threshold = log_inverse(c)
    turning_point = threshold if revert else math.inf

    def measure(z: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the loss that is climbed and compared with log(1/c)."""
        logits = network(z)
        if reference is not None:
            return logits, divergence(reference[images].detach(), logits)
        return logits, F.cross_entropy(logits, y[images], reduction="none")

    published, batch_size = l2_form == "published" and norm == 2, random_numbers.whole_batch(len(x))

    def direction(gradient: Tensor) -> Tensor:
        if published:
            return published_direction(gradient, batch_size)
        return ascent_direction(gradient, norm)

    def back_to_ball(z: Tensor, images: Tensor) -> Tensor:
        return project(z, x[images], eps, norm, bounds)

    with attack_mode(model, mode) as network:
        crossings = boundary != "revert" and turning_point < math.inf
        z, whole = x, State.at(x, torch.ones_like(y, dtype=torch.bool), crossings)
        if random_start:
            z = pulled_image(x, eps, bounds) if published else random_point(x, eps, norm, bounds)
            whole = State.at(z, whole.alive, crossings)
            if stage_test == "natural":
                z = torch.where(broadcast(stays(network, z, y, threshold), x), x, z)
                whole = State.at(x, ~stays(network, x, y, threshold), crossings)
        images, centre = torch.arange(len(x), device=x.device), x
        state, size = whole, granule(x)
        for step in range(steps + 1):
            if (step + 1) % every == 0:
                rows = survivors(state.alive, size)
                if len(rows) < len(images):
                    whole = whole.with_rows(images, state)
                    images, centre, z = images[rows], centre[rows], z[rows]
                    state = state.rows(rows)
                if not len(images):
                    break
            if step == steps and turning_point == math.inf:
                # The last step needs no test, so no pass.
                state = state.tested(z, state.loss, ~state.alive, 0)
                break
            # The pass that tests this step also gives the gradient of the next one.
            with torch.set_grad_enabled(step < steps):
                z = z.detach().requires_grad_(step < steps)
                logits, climbed = measure(z, images)
            back = climbed > turning_point
            if step == 0:
                if reference is not None:
                    climbed = F.cross_entropy(logits, y[images], reduction="none")
                back = _is_stage_a(logits, climbed, y[images], threshold)
            state = state.tested(z.detach(), climbed.detach(), back, steps - step)
            if every == 1 and not state.alive.any():
                break
            if step < steps:
                moving = climbed.masked_fill(~state.alive, 0)
                (gradient,) = torch.autograd.grad(moving.sum(), z)
                z = direction(gradient).mul_(step_size).add_(state.inside)
                z = project(z, centre, eps, norm, bounds)
        whole = whole.with_rows(images, state)

        if crossings:
            crossing = whole.crossing()
            inside, loss = settle(
                boundary,
                measure,
                crossing,
                threshold,
                bisections,
                step_size,
                norm,
                direction,
                back_to_ball,
            )
            whole = whole.ended(crossing.images, inside, loss)
    turned = whole.stage == Stage.B
    return Sensible(whole.inside, whole.stage, (threshold - whole.loss).where(turned, math.nan))


def log_inverse(c: float) -> float:
    """The loss log(1/c) that a moved image may not pass; infinite for c = 0."""
    return -math.log(c) if c > 0 else math.inf


@torch.no_grad()
def stays(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, threshold: float) -> Tensor:
    """Stage A: misclassified, or a loss of log(1/c) or more. Boolean, shape (n,)."""
    logits = model(x)
    return _is_stage_a(logits, F.cross_entropy(logits, y, reduction="none"), y, threshold)


def _is_stage_a(logits: Tensor, loss: Tensor, y: Tensor, threshold: float) -> Tensor:
    return (logits.argmax(1) != y) | (loss >= threshold)
