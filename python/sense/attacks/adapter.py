"""Between our attacks' signature and pyautoattack's: images in [0, 1] in float32, its own seed, its
messages, and what it would leave behind."""

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

NAMES = {math.inf: "Linf", 2.0: "L2", 1.0: "L1"}  # of the norms, as pyautoattack has them


def package(module: str = "pyautoattack") -> Any:
    """The module of pyautoattack; ImportError, saying what to install, where it is absent."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pyautoattack":
            raise
        raise MissingPackageError(
            "AutoAttack and Square are those of the package pyautoattack, which is not installed: "
            "pip install 'sense-at[attacks]', or pip install pyautoattack"
        ) from None


class Rescaled(nn.Module):
    """The model as a function of float32 images u in [0, 1], contiguous as are their gradients:
    pyautoattack knows no other."""

    def __init__(self, model: nn.Module, like: Tensor, bounds: Bounds) -> None:
        super().__init__()
        self.model, self.dtype, self.bounds = model, like.dtype, bounds

    def forward(self, u: Tensor) -> Tensor:
        # Backwards through this, a gradient in channels-last order becomes contiguous.
        u = u.flatten(1).view(u.shape)
        if u.requires_grad:
            u.register_hook(check_gradient)
        return self.model(from_unit(u.to(self.dtype), self.bounds)).float()


def to_unit(x: Tensor, bounds: Bounds) -> Tensor:
    """The images with their bounds moved to 0 and 1, float32, contiguous."""
    if tuple(bounds) != (0, 1):
        x = (x - bounds[0]) / (bounds[1] - bounds[0])
    return x.detach().float().clamp(0, 1).contiguous()


def from_unit(u: Tensor, bounds: Bounds) -> Tensor:
    """The inverse of `to_unit`, of any type."""
    return u if tuple(bounds) == (0, 1) else bounds[0] + (bounds[1] - bounds[0]) * u


def put_back(u: Tensor, x: Tensor, eps: float, norm: float, bounds: Bounds) -> Tensor:
    """What pyautoattack made of `to_unit(x)`, as images like x. Where that was scaled or rounded,
    images that it left alone are x, and others are put into the ball again; else all is left to
    the bit."""
    if x.dtype == torch.float32 and tuple(bounds) == (0, 1):
        return u
    moved = (u != to_unit(x, bounds)).flatten(1).any(1)
    put = project(from_unit(u.to(x.dtype), bounds), x, eps, norm, bounds)
    return torch.where(broadcast(moved, x), put, x)


@contextmanager
def guest(model: nn.Module) -> Iterator[list[str]]:
    """The package may run inside. Outside all is again as it was: the model's modes, the gradients
    of its parameters (FAB adds to them), torch's generators (each attack seeds them) and the
    tracer of a debugger (a check removes it). Gives what the package warned of."""
    flags = Flags()
    log = logging.getLogger("auto-attack")
    wanted = [p for p in model.parameters() if p.requires_grad]
    tracer, propagate, dtype = sys.gettrace(), log.propagate, torch.get_default_dtype()
    log.addHandler(flags)
    log.propagate = False
    try:
        torch.set_default_dtype(torch.float32)  # of the package's own numbers
        for parameter in wanted:
            parameter.requires_grad_(False)
        with attack_mode(model, "evaluation"), preserved_random_state():
            yield flags.messages
    finally:
        for parameter in wanted:
            parameter.requires_grad_()
        torch.set_default_dtype(dtype)
        log.removeHandler(flags)
        log.propagate = propagate
        sys.settrace(tracer)


class Flags(logging.Handler):
    """Collects warnings, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.messages:
            self.messages.append(message)


def check_images(x: Tensor, norm: float, bounds: Bounds) -> None:
    """Raise ValueError unless the package can take them."""
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
