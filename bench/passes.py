"""The minimum of forward and backward passes of an attack, and their floating point operations."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .networks import torch_layers
from .timing import Contender


class Pass(NamedTuple):
    """A forward pass of a number of images, with or without the gradient with respect to them."""

    images: int
    gradient: bool


def sensible_passes(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, step_size: float, steps: int, c: float
) -> tuple[list[Pass], Tensor]:
    """Return the passes that Algorithm 1 needs, from x in l-infinity, and the images it gives.

    The pass that tests a step also gives the gradient of the next step; the last test needs no
    gradient. An image is removed once a test stops it. The model is in evaluation mode.
    """
    limit, x_adv = -math.log(c), x.clone()
    moving, inside, z = torch.arange(len(x)), x, x
    passes: list[Pass] = []
    for step in range(steps + 1):
        if not len(moving):
            break
        z = z.detach().requires_grad_()
        logits = model(z)
        loss = F.cross_entropy(logits, y[moving], reduction="none")
        stop = loss > limit
        if step == 0:
            stop = (logits.argmax(1) != y[moving]) | (loss >= limit)
        x_adv[moving[stop]] = inside[stop]
        further = step < steps and not bool(stop.all())
        passes.append(Pass(len(moving), further))
        if further:
            (gradient,) = torch.autograd.grad(loss.sum(), z)
        moving, inside = moving[~stop], z.detach()[~stop]
        if further:
            around = x[moving]
            moved = inside + step_size * gradient[~stop].sign()
            z = torch.minimum(torch.maximum(moved, around - eps), around + eps).clamp(0, 1)
    x_adv[moving] = inside
    return passes, x_adv


def bare_loop(model: nn.Module, x: Tensor, y: Tensor, passes: Sequence[Pass]) -> None:
    """Run these passes and nothing else."""
    for images, gradient in passes:
        z, labels = x[:images], y[:images]
        if gradient:
            z = z.detach().requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(z), labels, reduction="sum"), z)
        else:
            with torch.no_grad():
                F.cross_entropy(model(z), labels, reduction="none")


def flops(model: nn.Module, x: Tensor, y: Tensor, passes: Sequence[Pass]) -> int:
    """Return the number of floating point operations of the passes' matrix products and
    convolutions; a multiply-add counts as two. It does not depend on the images' values."""
    # Without gradients of the weights, backward() computes those of the images only.
    model = torch_layers(model).requires_grad_(False)
    total = 0
    for images, gradient in passes:
        with FlopCounterMode(display=False) as counter:
            z = x[:images].detach().requires_grad_(gradient)
            loss = F.cross_entropy(model(z), y[:images], reduction="sum")
            if gradient:
                loss.backward()
        total += counter.get_total_flops()
    return total


class MatrixProduct:
    """A float32 matrix product of the size with the highest rate on this machine."""

    def __init__(self, sizes: Sequence[int] = (256, 512, 1024, 2048), repeats: int = 5) -> None:
        rates = {}
        for size in sizes:
            product = MatrixProduct._product(size, repeats)
            product()
            rates[size] = 2 * size**3 / product()
        self.size = max(rates, key=lambda size: rates[size])
        self.seconds: Contender = MatrixProduct._product(self.size, repeats)
        self.flops = 2 * self.size**3

    @staticmethod
    def _product(size: int, repeats: int) -> Contender:
        a, b = torch.randn(size, size), torch.randn(size, size)
        out = torch.empty(size, size)

        def run() -> float:
            """Return the mean seconds of one product."""
            began = time.perf_counter()
            for _ in range(repeats):
                torch.mm(a, b, out=out)
            return (time.perf_counter() - began) / repeats

        return run

    def contender(self, work: int) -> Contender:
        """Return a contender: the seconds for `work` floating point operations at this rate."""
        return lambda: self.seconds() * work / self.flops
