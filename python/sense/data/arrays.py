"""Arrays of numpy as tensors."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError

NUMBERS = "biuf"  # numpy's kinds of types: bool, whole numbers with and without sign, floats


def tensor_of(x: Tensor | NDArray[Any], what: str) -> Tensor:
    """Return an array as a tensor, which shares its memory where torch can: not if the array is
    reversed or in another byte order. A tensor is returned as it is.

    Raises InputError for what is neither, and for an array that has no real numbers."""
    if isinstance(x, Tensor):
        return x
    if not isinstance(x, np.ndarray):
        raise InputError(f"{what} must be a tensor or a numpy array, got a {type(x).__name__}")
    if x.dtype.kind not in NUMBERS:
        raise InputError(f"{what} must be an array of numbers, got the type {x.dtype}")
    if x.dtype.itemsize > 8:  # numpy's longdouble, which torch does not have
        x = x.astype(np.float64)
    if not x.dtype.isnative or any(stride < 0 for stride in x.strides):
        x = x.astype(x.dtype.newbyteorder("="), order="C", copy=True)
    with warnings.catch_warnings():
        # Nothing here writes to the array, which may be mapped from a file.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(x)
