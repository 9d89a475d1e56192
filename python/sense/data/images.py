"""The form that every data set takes in memory."""

import copy
import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class ImageData:
    """Training and test images with their labels.

    Attributes
    ----------
    name
        What messages and results call it.
    train_x, test_x
        n x channels x height x width, or n x height x width of grey images; unsigned bytes 0 to
        255, or numbers in [0, 1], which become float32. Tensors or numpy arrays.
    train_y, test_y
        Labels, whole numbers from 0, which become int64. Tensors or numpy arrays. There may be no
        test images, where nothing is to be evaluated.
    classes
        The names of the classes, in the order of the labels.
    sha256, test_sha256
        Of all, and of the test images and labels alone.
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
            # Sums in a network, and so its last bits, may depend on how the images lie in memory.
            x = as_images(getattr(self, f"{part}_x"), f"{self.name}: {part} images")
            y = as_labels(getattr(self, f"{part}_y"), f"{self.name}: {part} labels")
            object.__setattr__(self, f"{part}_x", x.contiguous())
            object.__setattr__(self, f"{part}_y", y.contiguous())
        for part in ("train", "test"):
            if part == "test" and not len(self.test_y) and not len(self.test_x):
                continue  # it may be without
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
        object.__setattr__(self, "sha256", _sum(self.train_x, self.train_y, *tests))
        object.__setattr__(self, "test_sha256", _sum(*tests))

    @staticmethod
    def from_test_images(name: str, x: Tensor, y: Tensor, classes: tuple[str, ...]) -> "ImageData":
        """Test images alone, which stand for training images too."""
        return ImageData(name, x, y, x, y, classes)

    def with_sha256(self, sha256: str) -> "ImageData":
        """The same images as the tests of the data with this sum."""
        known = copy.copy(self)
        object.__setattr__(known, "sha256", sha256)
        return known

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        channels, height, width = self.train_x.shape[1:]
        return channels, height, width


def _sum(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def as_images(x: Tensor | NDArray[Any], what: str = "images") -> Tensor:
    """Images as a tensor with channels, on the processor; floating point ones as float32."""
    images = torch.from_numpy(x) if isinstance(x, np.ndarray) else x
    if not isinstance(images, Tensor):
        raise InputError(f"{what} must be a tensor or a numpy array, got a {type(x).__name__}")
    if images.ndim == 3:
        images = images.unsqueeze(1)
    return images.float() if images.is_floating_point() else images


def as_labels(y: Tensor | NDArray[Any], what: str = "labels") -> Tensor:
    """Labels as int64, from any type of whole numbers."""
    labels = torch.from_numpy(y) if isinstance(y, np.ndarray) else y
    if not isinstance(labels, Tensor):
        raise InputError(f"{what} must be a tensor or a numpy array, got a {type(y).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"{what} must be whole numbers from 0, got {labels.dtype}")
    return labels.long()


def to_float(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1], whichever way they are held; the same bits on every device: with
    255 as a plain number CUDA would multiply by a rounded 1/255."""
    if images.dtype != torch.uint8:
        return images
    return images.float().div_(torch.full((), 255.0, device=images.device))


def check_images(images: Tensor, what: str) -> None:
    """Raise ValueError unless these are images as `ImageData` holds them."""
    if images.ndim != 4:
        raise InputError(
            f"{what} must be n x channels x height x width, got shape {tuple(images.shape)}"
        )
    if not len(images):
        raise InputError(f"{what}: there are none")
    if images.dtype == torch.uint8:
        if int(images.max()) == 1 and int(images.min()) == 0:
            raise InputError(
                f"{what} are whole numbers, 0 and 1 alone, and whole numbers are bytes, 0 black "
                "and 255 white, so all would be all but black: if 1 is white pass real numbers"
            )
        return
    if images.dtype != torch.float32:
        raise InputError(f"{what} must be uint8 or float32, got {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # also true for NaN
        finite = bool(torch.isfinite(images).all())
        if not finite:
            bad = int((~torch.isfinite(images.flatten(1)).all(1)).nonzero()[0])
            raise InputError(f"{what} hold a NaN or infinite pixel, first in image {bad} (from 0)")
        hint = ": divide by 255" if low >= 0 and high <= 255 else ""
        raise InputError(f"{what} must have pixels from 0 to 1, got {low:g} to {high:g}{hint}")


def check_labels(labels: Tensor, images: Tensor, classes: int, what: str) -> None:
    """Raise ValueError unless there is one label from 0 to classes - 1 an image."""
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise InputError(
            f"{what} must be {len(images)} int64 numbers, one an image, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"{what} must be from 0 to {classes - 1} for {classes} classes, got {low} to {high}"
        )
