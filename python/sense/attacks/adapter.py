"""Adapter to the package pyautoattack: it takes float32 images in [0, 1], sets the global seed,
logs, and changes the model; here its input and output are converted and its side effects undone."""

import importlib
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, MissingPackageError
from ..random_numbers import preserved_random_state
from .geometry import Bounds, broadcast, project
from .modes import attack_mode
from .output_checks import check_gradient

NAMES = {math.inf: "Linf", 2.0: "L2", 1.0: "L1"}  # names of the norms in pyautoattack


def import_pyautoattack(module: str = "pyautoattack") -> Any:
    """Return a module of pyautoattack. Raises ImportError, with what to install, if it is
    missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pyautoattack":
            raise
        raise MissingPackageError(
            "AutoAttack and Square need the package pyautoattack, which is not installed: "
            "pip install 'sense-at[attacks]', or pip install pyautoattack"
        ) from None


class UnitRangeModel(nn.Module):
    """The model as a function of contiguous float32 images u in [0, 1], with contiguous gradients:
    the only form that pyautoattack can use."""

    def __init__(self, model: nn.Module, like: Tensor, bounds: Bounds) -> None:
        super().__init__()
        self.model, self.dtype, self.bounds = model, like.dtype, bounds

    def forward(self, u: Tensor) -> Tensor:
        # In the backward pass this makes a gradient in channels-last order contiguous.
        u = u.flatten(1).view(u.shape)
        if u.requires_grad:
            u.register_hook(check_gradient)
        return self.model(from_unit_range(u.to(self.dtype), self.bounds)).float()


def to_unit_range(x: Tensor, bounds: Bounds) -> Tensor:
    """Return the images scaled from their bounds to [0, 1], float32, contiguous."""
    if tuple(bounds) != (0, 1):
        x = (x - bounds[0]) / (bounds[1] - bounds[0])
    return x.detach().float().clamp(0, 1).contiguous()


def from_unit_range(u: Tensor, bounds: Bounds) -> Tensor:
    """Return the inverse of `to_unit_range`, in the type of u."""
    return u if tuple(bounds) == (0, 1) else bounds[0] + (bounds[1] - bounds[0]) * u


def to_image_range(u: Tensor, x: Tensor, eps: float, norm: float, bounds: Bounds) -> Tensor:
    """Return pyautoattack's result u for `to_unit_range(x)` in the range and type of x.

    If u was neither scaled nor rounded, it is returned as it is. Otherwise unchanged images are
    exactly x, and the others are projected into the ball again.
    """
    if x.dtype == torch.float32 and tuple(bounds) == (0, 1):
        return u
    changed = (u != to_unit_range(x, bounds)).flatten(1).any(1)
    projected = project(from_unit_range(u.to(x.dtype), bounds), x, eps, norm, bounds)
    return torch.where(broadcast(changed, x), projected, x)


@contextmanager
def preserved_state(model: nn.Module) -> Iterator[list[str]]:
    """Restore afterwards what pyautoattack changes: the modes of the model, the gradients of its
    parameters (FAB adds to them), torch's generators (each attack seeds them), and a debugger's
    trace function (a check removes it). Yields a list that collects the package's warnings."""
    collector = WarningCollector()
    log = logging.getLogger("auto-attack")
    with_gradient = [p for p in model.parameters() if p.requires_grad]
    tracer, propagate, dtype = sys.gettrace(), log.propagate, torch.get_default_dtype()
    log.addHandler(collector)
    log.propagate = False
    try:
        torch.set_default_dtype(torch.float32)  # for tensors that the package creates
        for parameter in with_gradient:
            parameter.requires_grad_(False)
        with attack_mode(model, "evaluation"), preserved_random_state():
            yield collector.messages
    finally:
        for parameter in with_gradient:
            parameter.requires_grad_()
        torch.set_default_dtype(dtype)
        log.removeHandler(collector)
        log.propagate = propagate
        sys.settrace(tracer)


class WarningCollector(logging.Handler):
    """Collect warnings, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.messages:
            self.messages.append(message)


def check_images(x: Tensor, norm: float, bounds: Bounds) -> None:
    """Raise InputError for images or bounds that the package cannot use."""
    if not (math.isfinite(bounds[0]) and math.isfinite(bounds[1])):
        raise InputError(f"AutoAttack and Square need finite bounds, got {tuple(bounds)}")
    if x.ndim != 4:
        raise InputError(
            "AutoAttack and Square take images of shape (n, channels, height, width), "
            f"got {tuple(x.shape)}"
        )
    if norm != math.inf and min(x.shape[2:]) < 5:
        raise InputError(
            "Square needs images of 5 x 5 pixels or more for the norms 2 and 1, "
            f"got {x.shape[2]} x {x.shape[3]}"
        )
