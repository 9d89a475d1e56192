"""Batches of the training images on the device that trains."""

import torch
from torch import Tensor

from .images import to_float

RESIDENT = 2**32  # bytes of images that an accelerator keeps; MNIST has 47 MB, CIFAR10 154 MB


class BatchLoader:
    """The training images, kept on an accelerator as they are (bytes, mostly) where they fit, else
    sent a batch at a time from pinned memory, which does not make Python wait."""

    def __init__(
        self, x: Tensor, y: Tensor, device: torch.device, resident: int = RESIDENT
    ) -> None:
        self.device = device
        size = x.numel() * x.element_size()
        self.sends = device.type != "cpu" and size > resident
        home = torch.device("cpu") if self.sends else device
        self.x, self.y = x.to(home), y.to(home)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The images at these positions as float32 in [0, 1], and their labels."""
        where = index.to(self.x.device, non_blocking=True)
        x, y = self.x[where], self.y[where]
        if self.sends:
            x, y = (part.pin_memory().to(self.device, non_blocking=True) for part in (x, y))
        return to_float(x), y
