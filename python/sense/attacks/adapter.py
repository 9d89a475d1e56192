"""Adapter to the package pyautoattack: it takes float32 images in [0, 1], sets the global seed,
logs, and changes the model; here its input and output are converted and its side effects undone."""

import importlib
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError, MissingPackageError
from ..random_numbers import numbers_are_common, preserved_random_state
from .geometry import Bounds, broadcast, clip, has_finite_bounds, project
from .modes import attack_mode
from .output_checks import check_gradient

DRAWING = ("autopgd_base", "square", "fab_base")  # modules of pyautoattack that draw numbers
NAMES = {math.inf: "Linf", 2.0: "L2", 1.0: "L1"}  # names of the norms in pyautoattack
SMALLEST_SIDE = 5  # of an image for Square with the norms 2 and 1
TINY = 1e-12  # smallest width of a range, for a batch of equal images and eps = 0


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


class UnitRange:
    """How the images of a batch become what pyautoattack takes, and back: contiguous float32 of
    shape (n, channels, height, width) in [0, 1].

    Rows of d features become images of one channel: a line of d + 1 pixels for l-infinity, and a
    square of at least 5 x 5 pixels for l1 and l2, since Square never changes the last pixel of a
    line and needs 5 x 5 pixels for l1 and l2. The network does not see the pixels that are added.

    If a bound is infinite, or features have bounds of their own, the range of each value is that of
    the batch with a margin of 2 eps on both sides. All values are divided by one width, so a ball
    stays a ball.
    """

    def __init__(self, x: Tensor, eps: float, norm: float, bounds: Bounds) -> None:
        self.dtype, self.shape, self.bounds = x.dtype, x.shape[1:], bounds
        self.low: float | Tensor
        self.width: float
        self.own_range = isinstance(bounds[0], Tensor) or not has_finite_bounds(bounds)
        if self.own_range:
            self.low = x.amin(0) - 2 * eps
            self.width = max(float((x.amax(0) + 2 * eps - self.low).max()), TINY)
        else:
            self.low, self.width = float(bounds[0]), float(bounds[1] - bounds[0])
        self.scales = (self.low, self.width) != (0, 1) if not self.own_range else True
        self.grid: tuple[int, int] | None = None
        if x.ndim == 2:
            side = max(SMALLEST_SIDE, math.isqrt(x.shape[1]) + 1)
            self.grid = (1, x.shape[1] + 1) if norm == math.inf else (side, side)

    def to_unit(self, x: Tensor) -> Tensor:
        """Return the images as pyautoattack takes them."""
        if self.scales:
            x = (x - self.low) / self.width
        u = x.detach().float().clamp(0, 1)
        if self.grid is not None:
            height, width = self.grid
            u = F.pad(u, (0, height * width - u.shape[1])).view(len(u), 1, height, width)
        return u.contiguous()

    def from_unit(self, u: Tensor) -> Tensor:
        """Return the inverse of `to_unit`, in the type of u."""
        if self.grid is not None:
            u = u.flatten(1)[:, : self.shape[0]]
        return self.low + self.width * u if self.scales else u

    def restore(self, u: Tensor, x: Tensor, eps: float, norm: float) -> Tensor:
        """Return pyautoattack's result u for `to_unit(x)` in the range and type of x.

        If u was neither scaled nor rounded, it is returned as it is. Otherwise unchanged images are
        exactly x, and the others are projected into the ball again.
        """
        if x.dtype == torch.float32 and not self.scales and self.grid is None:
            return u
        changed = (u != self.to_unit(x)).flatten(1).any(1)
        projected = project(self.from_unit(u.to(x.dtype)), x, eps, norm, self.bounds)
        return torch.where(broadcast(changed, x), projected, x)


class UnitRangeModel(nn.Module):
    """The model as a function of the images of `UnitRange`, with contiguous gradients: the only
    form that pyautoattack can use.

    Values outside their own bounds are clipped before the model sees them, and the gradient is that
    at the clipped point. In a box around x clipping shortens the distance from x, so the points of
    the ball and those of the ball that are inside the bounds have the same logits.
    """

    def __init__(self, model: nn.Module, unit: UnitRange) -> None:
        super().__init__()
        self.model, self.unit = model, unit

    def forward(self, u: Tensor) -> Tensor:
        # In the backward pass this makes a gradient in channels-last order contiguous.
        u = u.flatten(1).view(u.shape)
        if u.requires_grad:
            u.register_hook(check_gradient)
        x = self.unit.from_unit(u.to(self.unit.dtype))
        if self.unit.own_range:
            x = x + (clip(x, self.unit.bounds) - x).detach()
        return self.model(x).float()


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
        with attack_mode(model, "evaluation"), preserved_random_state(), ExitStack() as patches:
            for module in DRAWING if numbers_are_common() else ():
                drawing = import_pyautoattack(f"pyautoattack.{module}")
                patches.enter_context(patch.object(drawing, "torch", CommonDraws()))
            yield collector.messages
    finally:
        for parameter in with_gradient:
            parameter.requires_grad_()
        torch.set_default_dtype(dtype)
        log.removeHandler(collector)
        log.propagate = propagate
        sys.settrace(tracer)


class CommonDraws:
    """torch, but for images (four dimensions) `rand`, `randn` and `randn_like` draw the numbers of
    one image and return them for every image: `random_numbers.common_numbers` for pyautoattack."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def rand(self, shape: Sequence[int]) -> Tensor:
        return self._draw(torch.rand, shape)

    def randn(self, shape: Sequence[int]) -> Tensor:
        return self._draw(torch.randn, shape)

    def randn_like(self, x: Tensor) -> Tensor:
        return self._draw(torch.randn, x.shape).to(x)

    def _draw(self, function: Callable[[list[int]], Tensor], shape: Sequence[int]) -> Tensor:
        if len(shape) != 4:
            return function([*shape])
        return function([1, *shape[1:]]).expand(*shape).contiguous()


class WarningCollector(logging.Handler):
    """Collect warnings, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.messages:
            self.messages.append(message)


def check_images(x: Tensor, norm: float) -> None:
    """Raise InputError for images that the package cannot use."""
    if x.ndim not in (2, 4):
        raise InputError(
            "AutoAttack and Square take images of shape (n, channels, height, width), or rows of "
            f"features of shape (n, d), got {tuple(x.shape)}"
        )
    if norm != math.inf and x.ndim == 4 and min(x.shape[2:]) < SMALLEST_SIDE:
        raise InputError(
            "Square needs images of 5 x 5 pixels or more for the norms 2 and 1, "
            f"got {x.shape[2]} x {x.shape[3]}"
        )
