"""Algorithms 1 and 2 of the paper and PGD (eq. 4), one image at a time, line by line. Slow, and
written without a look at the fast versions, for these to be compared with."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STAGES = A, B, C = range(3)


def cross_entropy(z: Tensor, label: int) -> Tensor:
    """-log p_y, from the logits z of one image."""
    return -F.log_softmax(z, 0)[label]


def margin(z: Tensor, label: int) -> Tensor:
    """The highest of the other logits, less that of the label."""
    return max(z[k] for k in range(len(z)) if k != label) - z[label]


def dlr(z: Tensor, label: int) -> Tensor:
    """Croce and Hein 2020, eq. 6: over the highest of all less the third."""
    ordered = sorted(z, reverse=True)
    return margin(z, label) / (ordered[0] - ordered[2])


def targeted_dlr(z: Tensor, label: int, target: int) -> Tensor:
    """Croce and Hein 2020, eq. 7."""
    ordered = sorted(z, reverse=True)
    return (z[target] - z[label]) / (ordered[0] - (ordered[2] + ordered[3]) / 2)


class Reference(NamedTuple):
    x_adv: Tensor
    stages: list[int]
    iterates: list[list[Tensor]]  # of each image, X^(0) ... until it stopped, reverted ones too


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    norm: float,
    bounds: tuple[float, float] = (0, 1),
    start: Tensor | None = None,
    climbed: Callable[[Tensor, int], Tensor] = cross_entropy,
) -> Tensor:
    """K steps of eq. (4)'s ascent from x, or from the start given."""
    reached = []
    for i in range(len(x)):
        x_adv = x[i] if start is None else start[i]
        for _ in range(steps):
            step = step_size * direction(model, x_adv, y[i], norm, climbed)
            x_adv = project(step + x_adv, x[i], eps, norm, bounds)
        reached.append(x_adv)
    return torch.stack(reached)


def sensible(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    c: float,
    norm: float,
    bounds: tuple[float, float] = (0, 1),
    start: Tensor | None = None,
    stage_test: str = "natural",
    revert: bool = True,
) -> Reference:
    """Algorithm 1 for norm inf, Algorithm 2 for 2 and 1.

    Line 3 asks only for f(x) = y. An image with p_y(x) <= c has, by Definition 3, nowhere to go
    either, and is in A_f of section 4.2, so it is left at x as well.
    """
    log_1_over_c = math.inf if c == 0 else math.log(1 / c)

    def may_move(image: Tensor, label: Tensor) -> bool:
        right = int(logits(model, image).argmax()) == int(label)
        return right and loss(model, image, label) < log_1_over_c

    result = Reference(torch.empty_like(x), [], [])
    for i in range(len(x)):
        begin = x[i] if start is None else start[i]
        if start is not None and stage_test == "natural":
            begin = begin if may_move(begin, y[i]) else x[i]
            moves = may_move(x[i], y[i])
            x_adv = begin if moves else x[i]
        else:
            moves, x_adv = may_move(begin, y[i]), begin  # line 1: X^(0)
        stage, iterates = (C if moves else A), [x_adv]
        if moves:  # line 3
            for _ in range(steps):  # line 4
                gradient = direction(model, x_adv, y[i], norm)
                new = project(step_size * gradient + x_adv, x[i], eps, norm, bounds)  # line 5
                iterates.append(new)
                if revert and loss(model, new, y[i]) > log_1_over_c:  # line 6
                    stage = B  # line 7: X^(K) = X^(k-1)
                    break  # line 8
                x_adv = new
        result.x_adv[i] = x_adv
        result.stages.append(stage)
        result.iterates.append(iterates)
    return result


def logits(model: nn.Module, image: Tensor) -> Tensor:
    """f of one image, in evaluation mode."""
    modes = [(module, module.training) for module in model.modules()]
    output = model.eval()(image.unsqueeze(0))[0]
    for module, training in modes:
        module.training = training
    return output


def loss(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:
    """-log p_y of one image."""
    return cross_entropy(logits(model, image), int(label)).detach()


def direction(
    model: nn.Module,
    image: Tensor,
    label: Tensor,
    norm: float,
    climbed: Callable[[Tensor, int], Tensor] = cross_entropy,
) -> Tensor:
    """Line 5: the sign of the gradient, or the gradient over its norm."""
    image = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(climbed(logits(model, image), int(label)), image)
    if norm == math.inf:
        return gradient.sign()
    length = (gradient.abs() ** norm).sum() ** (1 / norm)
    return gradient / length if length > 0 else gradient


def project(z: Tensor, x: Tensor, eps: float, norm: float, bounds: tuple[float, float]) -> Tensor:
    """Onto the ball, by the shortest way, then into the bounds."""
    delta = z - x
    if norm == math.inf:
        delta = delta.clamp(-eps, eps)
    elif norm == 2 and delta.square().sum().sqrt() > eps:
        delta = eps * delta / delta.square().sum().sqrt()
    elif norm == 1 and delta.abs().sum() > eps:
        delta = delta.sign() * (delta.abs() - l1_threshold(delta, eps)).clamp_min(0)
    return (x + delta).clamp(*bounds)


def l1_threshold(delta: Tensor, eps: float) -> float:
    """The t that makes sum(max(|delta| - t, 0)) = eps, by bisection."""
    low, high = 0.0, float(delta.abs().max())
    for _ in range(200):
        middle = (low + high) / 2
        over = float((delta.abs() - middle).clamp_min(0).sum()) > eps
        low, high = (middle, high) if over else (low, middle)
    return (low + high) / 2


def published_l2(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    c: float,
    start: Tensor,
) -> Reference:
    """The l2 attack of the authors' code: the gradient is that of the mean loss of the batch, and
    it is divided by its norm or, where the norm is less, by 1e-6. Which images may move is judged
    at their starts."""
    n, log_1_over_c = len(x), math.log(1 / c)
    result = Reference(torch.empty_like(x), [], [])
    for i in range(n):
        x_adv, stage = start[i], A
        right = int(logits(model, x_adv).argmax()) == int(y[i])
        if right and loss(model, x_adv, y[i]) <= log_1_over_c:
            stage = C
            for _ in range(steps):
                image = x_adv.clone().requires_grad_()
                mean = cross_entropy(logits(model, image), int(y[i])) / n
                (gradient,) = torch.autograd.grad(mean, image)
                length = max(float(gradient.square().sum().sqrt()), 1e-6)
                new = project(x_adv + step_size * gradient / length, x[i], eps, 2, (0, 1))
                if loss(model, new, y[i]) > log_1_over_c:
                    stage = B
                    break
                x_adv = new
        result.x_adv[i] = x_adv
        result.stages.append(stage)
    return result


def published_l2_start(x: Tensor, eps: float) -> Tensor:
    """An image of uniform pixels, pulled into the ball around each image."""
    return torch.stack(
        [
            project(u, image, eps, 2, (0, 1))
            for u, image in zip(torch.rand(x.shape, dtype=x.dtype), x, strict=True)
        ]
    )
