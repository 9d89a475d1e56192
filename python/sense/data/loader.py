"""Batches of the training images on the device that trains."""

import torch
from torch import Tensor

from .images import to_float

DEVICE_LIMIT = 2**32  # bytes of images kept on an accelerator; MNIST has 47 MB, CIFAR10 154 MB


class BatchLoader:
    """The training images and their labels.

    Images of at most `limit` bytes are kept on the device as they are (uint8 in most cases). Larger
    sets stay in the CPU's memory, and each batch is sent from pinned memory without waiting.
    """

    def __init__(
        self, x: Tensor, y: Tensor, device: torch.device, limit: int = DEVICE_LIMIT
    ) -> None:
        self.device = device
        size = x.numel() * x.element_size()
        self.sends_batches = device.type != "cpu" and size > limit
        home = torch.device("cpu") if self.sends_batches else device
        self.x, self.y = x.to(home), y.to(home)

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images at these positions as float32 in [0, 1], and their labels."""
        positions = index.to(self.x.device, non_blocking=True)
        x, y = self.x[positions], self.y[positions]
        if self.sends_batches:
            x, y = (part.pin_memory().to(self.device, non_blocking=True) for part in (x, y))
        return to_float(x), y
