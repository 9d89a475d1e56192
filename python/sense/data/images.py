"""Images and labels in memory, and their checks."""

import copy
import hashlib
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .streams import StreamedImages, chunks, header, scan_of, stream_of_array


@dataclass(frozen=True)
class ImageData:
    """Training and test images with their labels.

    Attributes
    ----------
    name
        The name of the data set in messages and results.
    train_x, test_x
        Images: n x channels x height x width, or n x height x width for greyscale images; bytes
        from 0 to 255, or floating point from 0 to 1, which becomes float32. Tensors or numpy
        arrays.
    train_y, test_y
        Labels, whole numbers from 0, which become int64. Tensors or numpy arrays. The test set may
        be empty if nothing is evaluated.
    classes
        The names of the classes, in the order of the labels.
    sha256, test_sha256
        SHA-256 of all images and labels, and of the test images and labels alone.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]
    sha256: str = field(init=False)
    test_sha256: str = field(init=False)

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            # Rounding in a network can depend on the memory layout of the images.
            x = as_images(getattr(self, f"{part}_x"), f"{self.name}: {part} images")
            y = as_labels(getattr(self, f"{part}_y"), f"{self.name}: {part} labels")
            object.__setattr__(self, f"{part}_x", x.contiguous())
            object.__setattr__(self, f"{part}_y", y.contiguous())
        for part in ("train", "test"):
            if part == "test" and not len(self.test_y) and not len(self.test_x):
                continue  # the test set may be empty
            check_images(getattr(self, f"{part}_x"), f"{self.name}: {part} images")
            check_labels(
                getattr(self, f"{part}_y"),
                getattr(self, f"{part}_x"),
                len(self.classes),
                f"{self.name}: {part} labels",
            )
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            raise InputError(
                f"{self.name}: training images are {tuple(self.train_x.shape[1:])}, "
                f"test images {tuple(self.test_x.shape[1:])}; they must be alike"
            )
        tests = (self.test_x, self.test_y)
        object.__setattr__(self, "sha256", _hash(self.train_x, self.train_y, *tests))
        object.__setattr__(self, "test_sha256", _hash(*tests))

    @staticmethod
    def from_test_images(name: str, x: Tensor, y: Tensor, classes: tuple[str, ...]) -> "ImageData":
        """Return a data set with these test images, which are also its training images."""
        return ImageData(name, x, y, x, y, classes)

    def with_sha256(self, sha256: str) -> "ImageData":
        """Return the same images with another `sha256`: that of the whole data set."""
        copied = copy.copy(self)
        object.__setattr__(copied, "sha256", sha256)
        return copied

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        channels, height, width = self.train_x.shape[1:]
        return channels, height, width


def _hash(*tensors: Tensor | StreamedImages) -> str:
    first = tensors[0]
    stream = isinstance(first, StreamedImages)
    digest = first.scan.digest.copy() if stream else hashlib.sha256()  # type: ignore[union-attr]
    for tensor in tensors[1:] if stream else tensors:
        digest.update(header(tensor))
        for part in chunks(tensor):
            digest.update(part.numpy().data)
    return digest.hexdigest()


def as_images(x: Any, what: str = "images") -> Any:
    """Return images as a tensor with channels; floating point images as float32.

    Images that are mapped from a file are not copied. A stream is returned as it is.
    """
    if isinstance(x, StreamedImages):
        return x
    if isinstance(x, np.memmap) and x.ndim in (3, 4) and len(x):
        usable = x.dtype in (np.uint8, np.float32) and x.flags.c_contiguous
        if not usable:
            return stream_of_array(x)
    with warnings.catch_warnings():
        # Nothing here writes to the images, which may be mapped from a file.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        images = torch.from_numpy(x) if isinstance(x, np.ndarray) else x
    if not isinstance(images, Tensor):
        raise InputError(f"{what} must be a tensor or a numpy array, got a {type(x).__name__}")
    if images.ndim == 3:
        images = images.unsqueeze(1)
    return images.float() if images.is_floating_point() else images


def as_labels(y: Tensor | NDArray[Any], what: str = "labels") -> Tensor:
    """Return labels of any integer type as int64."""
    labels = torch.from_numpy(y) if isinstance(y, np.ndarray) else y
    if not isinstance(labels, Tensor):
        raise InputError(f"{what} must be a tensor or a numpy array, got a {type(y).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"{what} must be whole numbers from 0, got {labels.dtype}")
    return labels.long()


def to_float(images: Tensor) -> Tensor:
    """Return images as float32 in [0, 1]. The result has the same bits on every device: with 255 as
    a Python number CUDA would multiply by a rounded 1/255."""
    if images.dtype != torch.uint8:
        return images
    return images.float().div_(torch.full((), 255.0, device=images.device))


def check_images(images: Tensor | StreamedImages, what: str) -> None:
    """Raise ValueError unless these are valid images of `ImageData`."""
    if images.ndim != 4:
        raise InputError(
            f"{what} must be n x channels x height x width, got shape {tuple(images.shape)}"
        )
    if not len(images):
        raise InputError(f"{what}: at least one is needed, got none")
    if images.dtype not in (torch.uint8, torch.float32):
        raise InputError(f"{what} must be uint8 or float32, got {images.dtype}")
    found = scan_of(images)
    low, high = found.low, found.high
    if images.dtype == torch.uint8:
        if (low, high) == (0, 1):
            raise InputError(
                f"{what} are the whole numbers 0 and 1. Whole numbers are taken as bytes, with 255 "
                "as white, so all images would be nearly black: if 1 is white, pass floats"
            )
        return
    if found.not_finite is not None:
        raise InputError(
            f"{what} have a NaN or infinite pixel, first in image {found.not_finite} (from 0)"
        )
    if not (low >= 0 and high <= 1):
        normalised = (
            ". If they are normalised, leave that out, and pass the network as "
            "sense.Normalised(network, mean, std)"
        )
        hint = ": divide by 255" if low >= 0 and high <= 255 else normalised
        raise InputError(f"{what} must have pixels from 0 to 1, got {low:g} to {high:g}{hint}")


def check_labels(labels: Tensor, images: Tensor, classes: int, what: str) -> None:
    """Raise ValueError unless there is one label from 0 to classes - 1 per image."""
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise InputError(
            f"{what} must be {len(images)} int64 numbers, one per image, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"{what} must be from 0 to {classes - 1} for {classes} classes, got {low} to {high}"
        )
