"""Images that are read from a dataset when they are needed, because memory cannot hold them all.

Positions in the dataset are those of the training set, and batches are read in the order of
training. A run on a stream can therefore be interrupted after any step and resumed, with the same
bits, and methods with a state per image can be used.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import InputError
from ..random_numbers import preserved_cpu_state
from .arrays import tensor_of
from .items import FIXED, Items, Key

CHUNK_BYTES = 2**26
READ_AT_ONCE = 64  # images of a batch outside of training
PROBED = 32  # items that are read several times to find out whether a transform is random
PROBES = 4
PREFETCHED = 4  # batches that each worker reads ahead


def stream_of_array(array: NDArray[Any]) -> "StreamedImages":
    """Return the images of an array that is mapped into memory as a stream, which converts those of
    a batch only. Labels are unknown."""
    return StreamedImages(Items(_Rows(array)))


class _Rows:
    """The images of an array as the items of a dataset."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, position: int) -> tuple[Tensor, None]:
        return tensor_of(np.array(self.array[position]), "images"), None


@dataclass
class Scan:
    """What one pass over images finds.

    Attributes
    ----------
    digest
        SHA-256 of their `header` and their bytes.
    labels
        Of all images, as the dataset gives them.
    n, low, high
        Number of images; lowest and highest pixel, NaN if there is one.
    not_finite
        Position of the first image with a NaN or infinite pixel.
    """

    digest: Any = None
    labels: list[Any] = field(default_factory=list)
    n: int = 0
    low: float = math.inf
    high: float = -math.inf
    not_finite: int | None = None

    def add(self, images: Tensor) -> None:
        """Add the next images."""
        low, high = float(images.min()), float(images.max())
        finite = math.isfinite(low) and math.isfinite(high)
        if not finite and self.not_finite is None:
            bad = ~torch.isfinite(images.flatten(1)).all(1)
            self.not_finite = self.n + int(bad.nonzero()[0])
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.n += len(images)


def scan_of(images: "Tensor | StreamedImages") -> Scan:
    """Return what one pass over all images finds."""
    if isinstance(images, StreamedImages):
        return images.scan
    scan = Scan()
    for part in chunks(images):
        scan.add(part)
    return scan


def chunks(images: "Tensor | StreamedImages") -> Iterator[Tensor]:
    """Yield all images in parts that memory can hold, in their order."""
    if isinstance(images, StreamedImages):
        plan = torch.arange(len(images)).split(READ_AT_ONCE)
        yield from (part for part, _ in images.batches(plan))
    elif len(images):
        size = images[0].numel() * images.element_size()
        yield from images.split(max(1, CHUNK_BYTES // max(1, size)))


def header(images: "Tensor | StreamedImages") -> bytes:
    """Return what is hashed before the bytes of images or labels: their type and shape."""
    return f"{images.dtype}{tuple(images.shape)}".encode()


class StreamedImages:
    """The images of a map-style dataset. It stands for a tensor in `ImageData`.

    Attributes
    ----------
    items
        The dataset.
    workers
        Number of processes that read items; 0 reads them in this process.
    shape, dtype
        As of a tensor of all images.
    """

    def __init__(self, items: Items, workers: int = 0) -> None:
        self.items, self.workers = items, workers
        self.shape = (len(items), *items.first.shape)
        self.dtype = items.first.dtype

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Tensor:
        """Return the images at these positions (a tensor, a list or a slice) in memory."""
        positions = torch.arange(len(self))[index].reshape(-1)
        if not len(positions):
            return torch.empty((0, *self.shape[1:]), dtype=self.dtype)
        plan = positions.split(READ_AT_ONCE)
        return torch.cat([images for images, _ in self.batches(plan)])

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def contiguous(self) -> "StreamedImages":
        return self

    def batches(
        self, plan: Sequence[Tensor], seed: int = FIXED
    ) -> Iterator[tuple[Tensor, list[Any]]]:
        """Read batches, given the positions of each, and their labels. Random transforms are drawn
        with the seed. Workers read ahead while a batch is used."""
        loader = DataLoader(
            self.items,
            batch_sampler=[[Key(i, seed) for i in positions.tolist()] for positions in plan],
            num_workers=self.workers,
            prefetch_factor=PREFETCHED if self.workers else None,
            collate_fn=list,
            generator=torch.Generator(),  # torch's global random numbers stay as they are
        )
        read = iter(loader)
        for _ in plan:
            with preserved_cpu_state():
                items = next(read)
            for item in items:
                if isinstance(item, InputError):
                    raise item
            yield torch.stack([item.image for item in items]), [item.label for item in items]

    @cached_property
    def scan(self) -> "Scan":
        """What one pass over all images finds."""
        scan = Scan(hashlib.sha256())
        scan.digest.update(header(self))
        for images, labels in self.batches(torch.arange(len(self)).split(READ_AT_ONCE)):
            scan.add(images)
            scan.digest.update(images.numpy().data)
            scan.labels += labels
        return scan

    def is_random(self) -> bool:
        """Return whether the same item has another image each time that it is read."""
        with preserved_cpu_state():
            return any(
                not torch.equal(self.items.read(Key(i)).image, self.items.read(Key(i, seed)).image)
                for i in range(min(PROBED, len(self)))
                for seed in range(1, PROBES)
            )
