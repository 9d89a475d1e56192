"""Passes of attacks as CUDA graphs, where Python is slower than the GPU: in small batches.

The batch of an attack becomes smaller while it breaks images, and a graph has one size. Therefore
images are padded to the next power of two: a small batch takes as long as a larger one there.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..attacks.modes import attack_mode
from ..graph_recorder import Recorder
from ..precision import graphed

SMALLEST = 16  # images of the smallest batch that is timed
GROWTH = 1.5  # a pass is limited by Python while it takes at most this times that of the smallest
PART_OF_BATCH = 4  # graphs are for at most this part of the batch size, because of their memory


class PaddedPasses(nn.Module):
    """A network in evaluation mode, whose passes of at most `largest` images are CUDA graphs.
    Larger ones are computed as usual.

    Parameters
    ----------
    network
        Computes the logits of each image from this image alone.
    recorder
        As in `graphed`.
    """

    def __init__(self, network: nn.Module, largest: int, recorder: Recorder | None = None) -> None:
        super().__init__()
        self.network, self.largest = network, largest
        self.graphed = graphed(network, recorder)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        if not 0 < n <= self.largest:
            return self.network(x)
        size = 1 << (n - 1).bit_length()
        if size > n:
            x = torch.cat([x, x[-1:].detach().expand(size - n, *x.shape[1:])])
        return self.graphed(x)[:n]


def with_graphs(
    network: nn.Module,
    x: Tensor,
    batch: int,
    seconds: Callable[[nn.Module, Tensor], float] | None = None,
    recorder: Recorder | None = None,
) -> nn.Module:
    """Return the network for attacks in batches of this size: on a CUDA device in graphs, where a
    timing of passes says that small batches take as long as larger ones.

    `seconds(network, x)` is the time of a pass (default: `seconds_of_pass`).
    """
    if seconds is None and x.device.type != "cuda":
        return network
    largest = size_limited_by_python(network, x, batch // PART_OF_BATCH, seconds or seconds_of_pass)
    return PaddedPasses(network, largest, recorder) if largest else network


def size_limited_by_python(
    network: nn.Module, x: Tensor, limit: int, seconds: Callable[[nn.Module, Tensor], float]
) -> int:
    """Return the largest power of two, at most `limit`, for which a pass takes at most `GROWTH`
    times as long as that of the smallest batch; 0 if there is none."""
    size, largest, first = SMALLEST, 0, 0.0
    while 2 * size <= limit:
        found = seconds(network, x[:1].expand(size, *x.shape[1:]).contiguous())
        first = first or found
        if found > GROWTH * first:
            break
        largest, size = size, 2 * size
    return largest if largest > SMALLEST else 0


def seconds_of_pass(network: nn.Module, x: Tensor) -> float:
    """Return the shortest time of a forward and backward pass, of three after one more."""
    times = []
    with attack_mode(network, "evaluation") as model:
        for _ in range(4):
            torch.cuda.synchronize(x.device)
            began = time.perf_counter()
            z = x.detach().requires_grad_()
            torch.autograd.grad(model(z).sum(), z)
            torch.cuda.synchronize(x.device)
            times.append(time.perf_counter() - began)
    return min(times[1:])
