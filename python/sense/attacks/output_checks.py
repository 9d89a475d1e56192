"""Checks of a network's logits and gradients in each forward and backward pass of an attack.

Training checks its images and labels once, when they are loaded, and the loss of each step. Its
attacks skip the checks of values, see `skip_value_checks`, because Python would have to wait for
an accelerator in each of them. A NaN then propagates to the loss.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, NotFiniteError

_skipped: ContextVar[bool] = ContextVar("value checks are skipped", default=False)


@contextmanager
def skip_value_checks() -> Iterator[None]:
    """Inside, attacks do not check the values of images, labels, logits and gradients."""
    token = _skipped.set(True)
    try:
        yield
    finally:
        _skipped.reset(token)


def value_checks_are_skipped() -> bool:
    """Return whether this is inside `skip_value_checks`."""
    return _skipped.get()


class CheckedNetwork(nn.Module):
    """A network whose output is checked in each forward pass."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes
        self.training = network.training

    def forward(self, z: Tensor) -> Tensor:
        logits = logits_of(self.network(z))
        check_logits(logits, len(z), self.classes)
        return logits


def logits_of(output: Any) -> Any:
    """Return the logits in the output of a network: the tensor itself, or the entry `logits` of an
    output object (as of Hugging Face models) or a dict."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return getattr(output, "logits", output)


def check_logits(logits: Any, n: int, classes: int) -> None:
    """Raise InputError or NotFiniteError unless these are n rows of finite logits of at least this
    number of classes."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != n:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise InputError(
            f"the network must give logits of shape ({n}, classes), or an object with .logits, "
            f"gave {got}: wrap it in a module that gives the logits alone"
        )
    if logits.shape[1] < 2:
        raise InputError(f"the network must have at least 2 classes, gives {logits.shape[1]} logit")
    if logits.shape[1] < classes:
        raise InputError(
            f"y has labels up to {classes - 1}, the network gives {logits.shape[1]} logits: labels "
            f"must be from 0 to {logits.shape[1] - 1}"
        )
    if not logits.is_floating_point():
        raise InputError(f"the network must give floating point logits, gave {logits.dtype}")
    finite = torch.isfinite(logits)
    if not finite.all():
        bad = int((~finite.all(1)).nonzero()[0])
        value = float(logits[bad][~finite[bad]][0].detach())
        raise NotFiniteError(
            f"the network gives a logit of {value}, first for image {bad} of {n}: an attack on it "
            "has no meaning. Check its weights for NaN and infinite values"
        )


def check_gradient(gradient: Tensor) -> None:
    """Raise NotFiniteError if a gradient is NaN or infinite, unless value checks are skipped."""
    if value_checks_are_skipped() or torch.isfinite(gradient).all():
        return
    bad = int((~torch.isfinite(gradient.flatten(1)).all(1)).nonzero()[0])
    raise NotFiniteError(
        f"the gradient with respect to image {bad} of {len(gradient)} is NaN or infinite, although "
        "the logits are finite: an operation in the network has no derivative there, such as a "
        "square root at 0"
    )
