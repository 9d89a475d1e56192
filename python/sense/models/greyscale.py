"""A convolution of greyscale images with a fast gradient with respect to the image on CPUs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

MIN_KERNELS = 8  # with fewer, torch's own gradient is faster


class GreyscaleConv2d(nn.Conv2d):
    """nn.Conv2d (stride 1, no dilation) that on a CPU computes the gradient of a greyscale image as
    a matrix product and a sum of shifted images. This takes less than half the time of torch, which
    pads one channel to eight.

    Second derivatives are not available then (torch raises RuntimeError).
    """

    def forward(self, x: Tensor) -> Tensor:
        use_torch = (
            x.device.type != "cpu"
            or not x.requires_grad
            or self.in_channels != 1
            or self.out_channels < MIN_KERNELS
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_compiling()
        )
        if use_torch:
            return super().forward(x)
        padding = self.padding[0]
        assert isinstance(padding, int)
        # The gradient of the weights is torch's, and is computed only if needed.
        out = F.conv2d(x.detach(), self.weight, self.bias, padding=padding)
        return _WithImageGradient.apply(x, self.weight, out, padding)


class _WithImageGradient(torch.autograd.Function):
    """Return `out`, the convolution of x. Its gradient is passed to `out` unchanged, and to x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, out: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.padding, ctx.size = padding, x.shape[2:]
        return out.view_as(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, None]:
        (weight,) = ctx.saved_tensors
        return image_gradient(gradient, weight, ctx.size, ctx.padding), None, gradient, None


def image_gradient(gradient: Tensor, weight: Tensor, size: torch.Size, padding: int) -> Tensor:
    """Return the gradient of greyscale images, n x 1 x height x width, given the gradient of their
    convolution, n x kernels x ..., and the kernels, kernels x 1 x rows x columns."""
    n, kernels, out_height, out_width = gradient.shape
    columns = weight.shape[3]
    height, width = size
    # The contribution of each position in the kernel, an image of the output's size.
    parts = weight.flatten(1).t() @ gradient.permute(0, 2, 3, 1).reshape(-1, kernels).t()
    padded = gradient.new_zeros(n, height + 2 * padding, width + 2 * padding)
    for position, part in enumerate(parts.view(-1, n, out_height, out_width)):
        i, j = divmod(position, columns)
        padded[:, i : i + out_height, j : j + out_width] += part
    return padded[:, None, padding : padding + height, padding : padding + width]
