"""Images and labels in memory, and their checks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..attacks.geometry import Bounds
from ..errors import InputError
from .arrays import tensor_of
from .base import Data, as_labels, check_labels
from .items import CHANNELS
from .streams import StreamedImages, scan_of, stream_of_array

__all__ = ["ImageData", "as_images", "as_labels", "check_images", "check_labels", "to_float"]


@dataclass(frozen=True)
class ImageData(Data):
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

    @property
    def inputs(self) -> str:
        return "images"

    @property
    def bounds(self) -> Bounds:
        return (0, 1)

    def as_inputs(self, x: Any, what: str) -> Any:
        return as_images(x, what)

    def check_inputs(self, x: Any, what: str) -> None:
        check_images(x, what)

    @staticmethod
    def from_test_images(name: str, x: Tensor, y: Tensor, classes: tuple[str, ...]) -> "ImageData":
        """Return a data set with these test images, which are also its training images."""
        return ImageData(name, x, y, x, y, classes)


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
    images = tensor_of(x, what)
    if images.ndim == 3:
        images = images.unsqueeze(1)
    return images.float() if images.is_floating_point() else images


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
    if images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        raise InputError(
            f"{what} must be n x channels x height x width, got shape {tuple(images.shape)}, with "
            "the channels last: pass numpy.moveaxis(x, 3, 1)"
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
