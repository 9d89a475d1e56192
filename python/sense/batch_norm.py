"""Batch norm with the statistics of a whole batch, whose images are divided among processes.

torch's SyncBatchNorm runs on GPUs only: on CPUs DistributedDataParallel raises "SyncBatchNorm
layers only work with GPU modules". It would also wait for ever in an attack in training mode, in
which processes take different numbers of forward passes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .attacks.modes import in_attack

LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)  # but no subclass of a user


@contextmanager
def whole_batch_statistics(model: nn.Module, images: Sequence[int], rank: int) -> Iterator[None]:
    """Inside, batch norm layers in training mode use and store the statistics of the images of all
    processes; in an attack, those of the process's own images.

    `images` is the number of images of each process, 0 for one whose image does not count. The
    gradient is correct if the loss of each process is its part of one sum.
    """
    batch_norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    layers = [layer for layer in batch_norms if type(layer) in LAYERS]
    # A compiled network calls it uncompiled. Not at module level: this imports the compiler.
    run = torch.compiler.disable(forward) if layers else forward
    for layer in layers:
        layer.forward = partial(run, layer, images, rank)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def forward(layer: _BatchNorm, images: Sequence[int], rank: int, x: Tensor) -> Tensor:
    """Return the layer's output for this process's images x."""
    if in_attack() or not layer.training:
        return type(layer).forward(layer, x)
    layer._check_input_dim(x)
    wide = x if x.dtype == torch.float64 else x.float()
    var, mean = torch.var_mean(wide, [0, *range(2, x.ndim)], correction=0)

    # One exchange of the means and variances of all processes, a row each. The variance from sums
    # of squares would be a small difference of large numbers.
    own = torch.stack([mean, var])
    rows = [own if row == rank else torch.zeros_like(own) for row in range(len(images))]
    means, variances = SumOverProcesses.apply(torch.stack(rows)).unbind(1)
    weight = mean.new_tensor(images).unsqueeze(1) / sum(images)
    mean = (weight * means).sum(0)
    var = (weight * (variances + (means - mean) ** 2)).sum(0)

    _update_running_statistics(
        layer, mean.detach(), var.detach(), sum(images) * x[0].numel() // len(mean)
    )
    shape = (1, -1, *[1] * (x.ndim - 2))
    scale = torch.rsqrt(var + layer.eps)
    if layer.affine:
        scale = scale * layer.weight
    out = (wide - mean.view(shape)) * scale.view(shape)
    if layer.affine:
        out = out + layer.bias.view(shape)
    return out.to(x.dtype)


@torch.no_grad()
def _update_running_statistics(layer: _BatchNorm, mean: Tensor, var: Tensor, count: int) -> None:
    """Update the running statistics as torch does, from `count` numbers per channel."""
    if layer.running_mean is None or layer.running_var is None:
        return
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    momentum = layer.momentum
    if momentum is None:
        momentum = 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean), momentum)
    layer.running_var.lerp_((var * count / max(count - 1, 1)).to(layer.running_var), momentum)


class SumOverProcesses(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return SumOverProcesses.forward(ctx, gradient)
