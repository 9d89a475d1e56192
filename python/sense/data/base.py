"""What all data sets have: training and test inputs with their labels, in memory."""

import copy
import hashlib
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..attacks.geometry import Bounds
from ..errors import InputError
from .arrays import NUMBERS, tensor_of
from .streams import StreamedImages, chunks, header

D = TypeVar("D", bound="Data")


@dataclass(frozen=True)
class Data:
    """Training and test inputs with their labels: `ImageData` or `TableData`.

    A subclass converts and checks its inputs, by `as_inputs` and `check_inputs`.
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
            # Rounding in a network can depend on the memory layout of the inputs.
            x = self.as_inputs(getattr(self, f"{part}_x"), f"{self.name}: {part} {self.inputs}")
            y = as_labels(getattr(self, f"{part}_y"), f"{self.name}: {part} labels")
            object.__setattr__(self, f"{part}_x", x.contiguous())
            object.__setattr__(self, f"{part}_y", y.contiguous())
        for part in ("train", "test"):
            if part == "test" and not len(self.test_y) and not len(self.test_x):
                continue  # the test set may be empty
            self.check_inputs(getattr(self, f"{part}_x"), f"{self.name}: {part} {self.inputs}")
            check_labels(
                getattr(self, f"{part}_y"),
                getattr(self, f"{part}_x"),
                len(self.classes),
                f"{self.name}: {part} labels",
                self.inputs,
            )
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            raise InputError(
                f"{self.name}: training {self.inputs} are {tuple(self.train_x.shape[1:])}, "
                f"test {self.inputs} {tuple(self.test_x.shape[1:])}; they must be alike"
            )
        tests = (self.test_x, self.test_y)
        object.__setattr__(self, "sha256", _hash(self.train_x, self.train_y, *tests))
        object.__setattr__(self, "test_sha256", _hash(*tests))

    @property
    def inputs(self) -> str:
        """What an input is called in messages."""
        raise NotImplementedError

    def as_inputs(self, x: Any, what: str) -> Tensor:
        """Return the inputs as a tensor."""
        raise NotImplementedError

    def check_inputs(self, x: Tensor, what: str) -> None:
        """Raise InputError unless the inputs are valid."""
        raise NotImplementedError

    @property
    def bounds(self) -> Bounds:
        """The bounds of attacked inputs."""
        raise NotImplementedError

    def with_sha256(self: D, sha256: str) -> D:
        """Return the same data with another `sha256`: that of the whole data set."""
        copied = copy.copy(self)
        object.__setattr__(copied, "sha256", sha256)
        return copied

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train_x.shape[1:])

    def describe(self) -> dict[str, Any]:
        """Return the entry `data` of config.json."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "test_sha256": self.test_sha256,
            "shape": list(self.shape),
            "classes": list(self.classes),
            "train": len(self.train_x),
            "test": len(self.test_x),
        }


def _hash(*tensors: Tensor | StreamedImages) -> str:
    first = tensors[0]
    stream = isinstance(first, StreamedImages)
    digest = first.scan.digest.copy() if stream else hashlib.sha256()  # type: ignore[union-attr]
    for tensor in tensors[1:] if stream else tensors:
        digest.update(header(tensor))
        for part in chunks(tensor):
            digest.update(part.numpy().data)
    return digest.hexdigest()


def as_labels(y: Tensor | NDArray[Any], what: str = "labels") -> Tensor:
    """Return labels of any integer type as int64."""
    if isinstance(y, np.ndarray) and y.dtype.kind not in NUMBERS:
        first = repr(y.flat[0]) if y.size else y.dtype
        raise InputError(
            f"{what} must be whole numbers from 0, the positions of the classes in their list, got "
            f"{first}"
        )
    labels = tensor_of(y, what)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"{what} must be whole numbers from 0, got {labels.dtype}")
    return labels.long()


def check_labels(
    labels: Tensor, inputs: Tensor, classes: int, what: str, kind: str = "images"
) -> None:
    """Raise ValueError unless there is one label from 0 to classes - 1 per input."""
    if labels.dtype != torch.int64 or labels.shape != inputs.shape[:1]:
        raise InputError(
            f"{what} must be {len(inputs)} int64 numbers, one per {kind.removesuffix('s')}, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"{what} must be from 0 to {classes - 1} for {classes} classes, got {low} to {high}"
        )
