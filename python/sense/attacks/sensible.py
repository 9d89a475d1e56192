"""The sensible adversary: PGD that stops before the probability of the true class falls below c.

Algorithm 1 (l-infinity) and Algorithm 2 (lp) of the paper; Definition 3, eq. (12) and eq. (13).
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import random_numbers
from .arguments import checked_attack
from .bisection import bisect
from .geometry import (
    Bounds,
    L2Form,
    ascent_direction,
    broadcast,
    project,
    projected_uniform_image,
    published_direction,
    random_point,
)
from .losses import divergence
from .modes import Mode, attack_mode, recorded_passes
from .sensible_graphs import Attack, attack_in_graphs
from .stages import Sensible, Stage

StageTest = Literal["natural", "start"]
Boundary = Literal["revert", "noise", "bisect"]


@checked_attack()
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
    """Return sensible adversarial examples x^s.

    p_y is the probability of the true class; p_y < c is the same as a cross-entropy above log(1/c).
    An image that is misclassified or has p_y(x) <= c is not changed (stage A). The other images
    take steps of PGD. The first step that takes p_y of an image below c is reverted, and the image
    takes no further step (stage B). The remaining images take all steps (stage C).

    Parameters
    ----------
    model, x, y, eps, step_size, steps, norm, bounds
        As in `pgd`. The model is in evaluation mode in the attack.
    c
        Minimum of p_y for an image in stage B or C, from 0 to 1. With c = 1 all images are in stage
        A; with c = 0 no step is reverted.
    random_start
        Whether to start at a uniform random point of the ball. If the start is misclassified or p_y
        is at most c there, x is the start. In the paper the start is x.
    stage_test
        Point at which stage A is tested. "natural": x, as in the paper; "start": the random start,
        as in the authors' code. With "start", the result for an image in stage A is its start.
    boundary
        Rule for the reverted step of an image in stage B. "revert": the image ends at the point
        before the step, as in Algorithm 1. "noise": it takes the remaining steps, beginning with
        random noise (end of section 4.1). "bisect": bisections of the step search for the point
        where p_y is c, eq. (13).
    l2_form
        For norm 2. "paper": a step is the gradient divided by its norm, times `step_size`, and the
        random start is uniform in the ball. "published": both as in the authors' code, see
        `published_direction` and `projected_uniform_image` in `sense.attacks.geometry`.

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


@checked_attack()
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
    l2_form: L2Form = "paper",
    bounds: Bounds = (0, 1),
) -> Sensible:
    """`sensible`, with the stage of each image.

    With `revert` off no step is reverted, so that there is no stage B: the paper's warm-up.

    With `reference`, logits (n, classes) of the natural images, the loss after the first step is
    the divergence KL(softmax(reference) || softmax(model(z))), as in the authors' SENSE-TRADE.
    Stage A and the first step use the cross-entropy, since the gradient of the divergence is 0 at
    x.

    `bisections` is the number of forward passes of the boundary "bisect". Each forward pass
    computes only the images that still move.
    """
    threshold = -math.log(c) if c > 0 else math.inf  # log(1/c)
    limit = threshold if revert else math.inf
    published = l2_form == "published" and norm == 2
    batch_size = random_numbers.full_batch_size(len(x))

    def cross_entropy(z: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = network(z)
        return logits, F.cross_entropy(logits, y[images], reduction="none")

    def attack_loss(z: Tensor, images: Tensor) -> Tensor:
        if reference is None:
            return cross_entropy(z, images)[1]
        return divergence(reference[images].detach(), network(z))

    def in_stage_a(logits: Tensor, loss: Tensor, images: Tensor) -> Tensor:
        return (logits.argmax(1) != y[images]) | (loss >= threshold)

    def step_from(z: Tensor, gradient: Tensor, images: Tensor) -> Tensor:
        if published:
            unit = published_direction(gradient, batch_size)
        else:
            unit = ascent_direction(gradient, norm)
        return project(unit.mul_(step_size).add_(z), x[images], eps, norm, bounds)

    model, graphs = recorded_passes(model, bounds)
    # In other modes statistics of the batch depend on which images are in it.
    if mode != "evaluation" or boundary == "noise" or not len(x):
        graphs = None
    x_adv, moving = x.clone(), torch.arange(len(x), device=x.device)
    stage = torch.zeros_like(y, dtype=torch.uint8)  # A, until an image moves
    loss_at = x.new_zeros(len(x))  # at x_adv
    past, steps_left = torch.empty_like(x), torch.zeros_like(y)  # of images in stage B
    with attack_mode(model, mode) as network:
        z = x
        if random_start:
            if published:
                z = projected_uniform_image(x, eps, bounds)
            else:
                z = random_point(x, eps, norm, bounds)
        if graphs is not None:
            attack = Attack(network, norm, bounds, threshold, limit, published, batch_size)
            return Sensible(
                *attack_in_graphs(
                    graphs,
                    attack,
                    z,
                    x,
                    y,
                    reference,
                    eps=eps,
                    step_size=step_size,
                    steps=steps,
                    stays_at_start=random_start and stage_test == "start",
                    tests_x=random_start and stage_test == "natural",
                    bisections=bisections if boundary == "bisect" else 0,
                )
            )
        if random_start:
            if stage_test == "start":
                x_adv = z.clone()
            else:
                with torch.no_grad():
                    replaced = in_stage_a(*cross_entropy(z, moving), moving)
                    z = torch.where(broadcast(replaced, x), x, z)
                    moving = moving[~in_stage_a(*cross_entropy(x, moving), moving)]
                    z = z[moving]
        for step in range(steps + 1):
            last = step == steps
            if last and limit == math.inf:  # no step is tested, so no forward pass is needed
                x_adv[moving], stage[moving] = z, Stage.C
                break
            if not len(moving):
                break
            # The forward pass that tests this step also gives the gradient of the next one.
            z = z.detach().requires_grad_(not last)
            with torch.set_grad_enabled(not last):
                if step == 0:
                    logits, loss = cross_entropy(z, moving)
                    stops = in_stage_a(logits, loss, moving)
                else:
                    loss = attack_loss(z, moving)
                    stops = loss > limit
            # Python waits for a GPU to count these, so each is counted once.
            stopping, going_on = (rows.nonzero().squeeze(1) for rows in (stops, ~stops))
            if step > 0:
                stopped = moving[stopping]
                stage[stopped], steps_left[stopped] = Stage.B, steps - step
                if boundary == "bisect":
                    past[stopped] = z.detach()[stopping]
            moving, reached = moving[going_on], z.detach()[going_on]
            x_adv[moving], stage[moving] = reached, Stage.C
            loss_at[moving] = loss.detach()[going_on].to(x.dtype)
            if last or not len(moving):
                break
            (gradient,) = torch.autograd.grad(loss[going_on].sum(), z)
            z = step_from(reached, gradient[going_on], moving)

        stage_b = (stage == Stage.B).nonzero().squeeze(1) if boundary != "revert" else moving[:0]
        if len(stage_b):
            # Those that were reverted first come first; random numbers are drawn in this order.
            stage_b = stage_b[steps_left[stage_b].argsort(descending=True, stable=True)]
            inside, loss = x_adv[stage_b], loss_at[stage_b]

            def loss_of(z: Tensor) -> Tensor:
                return attack_loss(z, stage_b)

            def add_noise(z: Tensor) -> Tensor:
                with random_numbers.shared_batch(None):
                    noisy = random_point(z, step_size, norm, (-math.inf, math.inf))
                return project(noisy, x[stage_b], eps, norm, bounds)

            if boundary == "bisect":
                inside, loss = bisect(
                    loss_of, inside, past[stage_b], loss, limit=threshold, bisections=bisections
                )
            else:
                inside, loss = _continue_with_noise(
                    loss_of,
                    inside,
                    loss,
                    steps_left[stage_b],
                    limit=threshold,
                    add_noise=add_noise,
                    step_from=lambda z, gradient: step_from(z, gradient, stage_b),
                )
            x_adv[stage_b], loss_at[stage_b] = inside, loss.to(x.dtype)
    return Sensible(x_adv, stage, (threshold - loss_at).where(stage == Stage.B, math.nan))


def _continue_with_noise(
    loss_of: Callable[[Tensor], Tensor],
    inside: Tensor,
    loss: Tensor,
    steps_left: Tensor,
    *,
    limit: float,
    add_noise: Callable[[Tensor], Tensor],
    step_from: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Use the steps that were left after the reverted one (end of section 4.1).

    After a reverted step the next one is random noise of at most the step size; otherwise it
    follows the gradient. A step past the limit is reverted. Returns the points with the highest
    loss that were reached, and their losses.
    """
    best, best_loss, z = inside, loss, inside
    reverted, gradient = torch.ones_like(loss, dtype=torch.bool), torch.zeros_like(z)
    for step in range(int(steps_left.max())):
        new = torch.where(broadcast(reverted, z), add_noise(z), step_from(z, gradient))
        new = new.requires_grad_()
        loss_new = loss_of(new)
        (gradient,) = torch.autograd.grad(loss_new.sum(), new)
        new, loss_new = new.detach(), loss_new.detach()
        reverted = (loss_new > limit) | (steps_left <= step)
        z = torch.where(broadcast(reverted, z), z, new)
        better = ~reverted & (loss_new > best_loss)
        best = torch.where(broadcast(better, z), z, best)
        best_loss = torch.where(better, loss_new, best_loss)
    return best, best_loss
