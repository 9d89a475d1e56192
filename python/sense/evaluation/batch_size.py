"""How many images are attacked at once: on a GPU as many as its memory allows.

Random numbers do not depend on the batch (`random_numbers.common_numbers`), so that the outcomes
of an evaluation do not depend on this number either, up to rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..attacks.modes import attack_mode

CPU_BATCH = 250
LARGEST = 4096  # a larger batch brings no speed, and more is lost with it
PART_OF_MEMORY = 0.7  # of the free memory, to be filled: cuDNN takes some for itself
IMAGES_OF_AN_ATTACK = 50  # float32 copies of an image that an attack holds, such as APGD
PROBED = (8, 40)  # batch sizes whose memory is measured

T = TypeVar("T")


@dataclass
class BatchSize:
    """The number of images to attack at once, which is halved where the memory is not enough."""

    images: int

    def run(self, attempt: Callable[[int], T]) -> T:
        """Return what `attempt(images)` returns. After torch.OutOfMemoryError it is called again
        with half the number, down to one image."""
        while True:
            try:
                return attempt(self.images)
            except torch.OutOfMemoryError:
                if self.images == 1:
                    raise
            # Outside of `except`: the error holds the tensors of the attempt.
            self.images = max(1, self.images // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def choose_batch_size(
    requested: int | None,
    model: nn.Module,
    x: Tensor,
    peak: Callable[[nn.Module, Tensor], int] | None = None,
    free: Callable[[torch.device], int] | None = None,
) -> BatchSize:
    """Return the batch size for these images: the requested one, `CPU_BATCH` on a device that is
    not CUDA, otherwise what fills `PART_OF_MEMORY` of the card, at most `LARGEST`.

    `peak(model, x)` and `free(device)` measure memory in bytes (default: that of CUDA).
    """
    if requested is not None:
        return BatchSize(requested)
    if peak is None and x.device.type != "cuda":
        return BatchSize(CPU_BATCH)
    per_image = memory_per_image(model, x, peak or peak_memory)
    fitting = int(PART_OF_MEMORY * (free or free_memory)(x.device) / per_image)
    return BatchSize(max(1, min(fitting, LARGEST, len(x))))


def memory_per_image(
    model: nn.Module, x: Tensor, peak: Callable[[nn.Module, Tensor], int]
) -> float:
    """Return the bytes that an image takes in an attack: the increase of the peak of a forward and
    backward pass between two batch sizes, and what the attack itself holds."""
    first, second = (x[:1].expand(n, *x.shape[1:]).contiguous() for n in PROBED)
    peak(model, first)  # what is allocated once, by cuDNN and cuBLAS
    increase = (peak(model, second) - peak(model, first)) / (len(second) - len(first))
    return max(increase, 0.0) + IMAGES_OF_AN_ATTACK * x[0].numel() * 4


def peak_memory(model: nn.Module, x: Tensor) -> int:
    """Return the peak of allocated CUDA memory, in bytes, of a forward and backward pass."""
    torch.cuda.reset_peak_memory_stats(x.device)
    before = torch.cuda.memory_allocated(x.device)
    with attack_mode(model, "evaluation") as network:
        z = x.clone().requires_grad_()
        torch.autograd.grad(network(z).logsumexp(1).sum(), z)
    return torch.cuda.max_memory_allocated(x.device) - before


def free_memory(device: torch.device) -> int:
    """Return the bytes of CUDA memory that are free, or reserved by torch and not used."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused
