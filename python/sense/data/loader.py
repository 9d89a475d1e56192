"""Batches of the training images on the device that trains."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..transfers import send
from .images import to_float
from .streams import StreamedImages

DEVICE_LIMIT = 2**32  # bytes of images kept on an accelerator; MNIST has 47 MB, CIFAR10 154 MB


class BatchLoader:
    """The training images and their labels.

    Images of at most `limit` bytes are kept on the device as they are (uint8 in most cases). Larger
    sets stay in the CPU's memory, in their file, or in their dataset, and each batch is sent from
    pinned memory without waiting.

    Parameters
    ----------
    x, y
        Images and labels.
    device
        The device that trains.
    kept
        Positions in x of the training set. Default: all. Images are not copied.
    """

    def __init__(
        self,
        x: Tensor | StreamedImages,
        y: Tensor,
        device: torch.device,
        limit: int = DEVICE_LIMIT,
        kept: Tensor | None = None,
    ) -> None:
        self.device = device
        self.x: Any = x
        home = torch.device("cpu")
        if isinstance(x, Tensor) and x.numel() * x.element_size() <= limit:
            home = device
            self.x = x.to(device)
        self.kept = None if kept is None else kept.to(home)
        self.y = (y if kept is None else y[kept]).to(home)
        self._planned: Iterator[tuple[Tensor, Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def plan(self, order: Sequence[Tensor], seed: int) -> None:
        """Announce the positions of the next batches, which `take` is called for in this order. The
        workers of a stream read ahead. The seed is that of its random transforms."""
        self.close()
        if isinstance(self.x, StreamedImages):
            positions = [self._in_dataset(index) for index in order]
            images = (batch for batch, _ in self.x.batches(positions, seed))
            self._planned = zip(order, images, strict=True)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images at these positions of the training set as float32 in [0, 1], and their
        labels."""
        positions = send(index, self.y.device)
        y = self.y[positions]
        if self._planned is None:
            x = self.x[self._in_dataset(positions)]
        else:
            expected, x = next(self._planned)
            assert torch.equal(expected, index)
        return to_float(send(x, self.device)), send(y, self.device)

    def close(self) -> None:
        """End the workers of a stream."""
        self._planned = None

    def _in_dataset(self, index: Tensor) -> Tensor:
        return index if self.kept is None else self.kept[index]
