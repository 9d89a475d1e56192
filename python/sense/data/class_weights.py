"""Weights of the classes in the loss, for classes of unequal size."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError

Balanced = Literal["balanced"]


def class_weights(
    option: Balanced | Sequence[float] | None, y: Tensor, classes: int
) -> Tensor | None:
    """Return the weight of each class: float32, shape (classes,), on the device of y.

    Parameters
    ----------
    option
        "balanced": n / (classes x images of the class), as in scikit-learn, so that all classes
        count the same; or a number per class; or None for no weights.
    y
        Labels of the training set, int64, shape (n,).
    classes
        Number of classes.

    Raises InputError for another number of weights.
    """
    if option is None:
        return None
    if option == "balanced":
        counts = torch.bincount(y.cpu(), minlength=classes).clamp_min(1)
        weights = len(y) / (classes * counts.double())
    else:
        if len(option) != classes:
            raise InputError(
                f"class_weights must be {classes} numbers, one per class, or balanced, "
                f"got {len(option)}"
            )
        weights = torch.tensor(option, dtype=torch.float64)
    return weights.float().to(y.device)
