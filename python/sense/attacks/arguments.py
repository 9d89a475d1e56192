"""Checks of the arguments of every attack, by their names.

`checked_attack` checks them before anything is computed; `output_checks` checks the network's
output.
"""

import functools
import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from ..errors import InputError
from .geometry import Bounds
from .output_checks import CheckedNetwork, value_checks_are_skipped

P = ParamSpec("P")
R = TypeVar("R")

NORMS = (math.inf, 2.0, 1.0)
# Arguments that are integers, with their smallest values.
INTEGERS = {
    "steps": 1,
    "targets": 1,
    "queries": 1,
    "batch_size": 1,
    "searches": 1,
    "bisections": 0,
    "candidates": 2,
    "seed": 0,
}
BOOLEANS = ("random_start", "revert")
RADIUS_TOLERANCE = 1e-6  # relative, since the largest radius is computed in floating point

_in_attack: ContextVar[bool] = ContextVar("inside an attack", default=False)


def checked_attack(norms: Sequence[float] = NORMS) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate an attack `attack(model, x, y, *, eps, ...)` that supports these norms."""

    def decorate(attack: Callable[P, R]) -> Callable[P, R]:
        signature, hints = inspect.signature(attack), get_type_hints(attack)
        choices = {
            name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal
        }
        numbers = {name for name, hint in hints.items() if hint is float}

        @functools.wraps(attack)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if _in_attack.get():  # called by another attack, which has checked the arguments
                return attack(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            # In inference mode there are no gradients, even with torch.enable_grad.
            with torch.inference_mode(False):
                check_arguments(bound.arguments, norms, choices, numbers)
                token = _in_attack.set(True)
                try:
                    return attack(*bound.args, **bound.kwargs)
                finally:
                    _in_attack.reset(token)

        return checked

    return decorate


def check_arguments(
    given: dict[str, Any],
    norms: Sequence[float] = NORMS,
    choices: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    numbers: Collection[str] = (),
) -> None:
    """Raise InputError for arguments that cannot be used, with what was wrong, what was received
    and what to pass. Arguments that are allowed in several forms are converted to one. `numbers`
    are the names of arguments that cannot differ between images."""
    x = given["x"] = _as_images(given["x"])
    if "y" in given:
        given["y"] = _as_labels(given["y"], x)
    if "bounds" in given:
        given["bounds"] = as_bounds(given["bounds"], x)
    if "norm" in given:
        given["norm"] = as_norm(given["norm"], norms)
    for name, value in given.items():
        if name in choices:
            check_choice(name, value, choices[name])
        elif name in INTEGERS and value is not None:
            check_integer(name, value, INTEGERS[name])
            given[name] = int(value)
        elif name in BOOLEANS and not isinstance(value, bool):
            raise InputError(f"{name} must be True or False, got {value!r}")
        elif name in ("eps", "step_size"):
            _check_radius(name, value, x, least=0 if name == "eps" else None)
            given[name] = value if isinstance(value, Tensor) else float(value)
        elif name in ("farthest", "overshoot"):
            check_number(name, value)
        elif name == "c":
            check_number(name, value)
            if value > 1:
                raise InputError(f"c is a probability, from 0 to 1, got {value}")
        elif name in ("start", "reference") and value is not None:
            _check_tensor(name, value, x)
    for name in ("model", "source"):
        if name in given:
            check_model(name, given[name], x)
    if value_checks_are_skipped():
        _check_numbers(given, numbers)
        return
    bounds = given.get("bounds", (0, 1))
    if "eps" in given:
        check_eps_fits_bounds(given["eps"], x, given.get("norm", math.inf), bounds)
    _check_pixels(x, bounds)
    _check_numbers(given, numbers)
    classes = 0
    if "y" in given and len(x):
        check_not_negative(given["y"])
        classes = int(given["y"].max()) + 1
    for name in ("model", "source"):
        if name in given:
            given[name] = CheckedNetwork(given[name], classes)


def _check_numbers(given: Mapping[str, Any], numbers: Collection[str]) -> None:
    """Raise InputError for a tensor in place of one of the numbers."""
    for name in numbers:
        value = given.get(name)
        if isinstance(value, Tensor) and value.ndim:
            raise InputError(
                f"{name} must be one number for all images with this attack, got a tensor of shape "
                f"{tuple(value.shape)}: attack the images of each {name} in a call of their own"
            )


def check_model(name: str, model: Any, x: Tensor) -> None:
    """Raise InputError unless the model is a module on the device of the images."""
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{name} must be a torch.nn.Module that gives logits, got {_type_name(model)}"
        )
    parameter = next(model.parameters(), None)
    if parameter is not None and parameter.device != x.device:
        raise InputError(
            f"x is on {x.device}, {name} on {parameter.device}: move one, such as "
            f"x.to({str(parameter.device)!r})"
        )


def as_bounds(bounds: Any, x: Tensor) -> Bounds:
    """Return bounds: two numbers, or two tensors of the shape of one image, on the device of x.

    Raises InputError for anything else."""
    if isinstance(bounds, tuple | list) and any(isinstance(bound, Tensor) for bound in bounds):
        return _tensor_bounds(bounds, x)
    pair = isinstance(bounds, tuple | list) and len(bounds) == 2 and all(map(_is_number, bounds))
    if not pair or any(map(math.isnan, bounds)):
        raise InputError(f"bounds must be (low, high), two numbers, got {bounds!r}")
    if not bounds[0] < bounds[1]:
        raise InputError(f"bounds must be (low, high) with low < high, got {bounds}")
    return bounds[0], bounds[1]


def _tensor_bounds(bounds: Sequence[Any], x: Tensor) -> Bounds:
    shape = tuple(x.shape[1:])
    fits = len(bounds) == 2 and all(
        isinstance(bound, Tensor) and tuple(bound.shape) == shape for bound in bounds
    )
    if not fits or not bool((bounds[0] <= bounds[1]).all()):  # false for NaN too
        raise InputError(
            f"bounds must be two numbers, or two tensors of shape {shape} with low <= high, "
            f"got {bounds!r}"
        )
    low, high = (bound.to(x) for bound in bounds)
    return low, high


def as_norm(norm: Any, norms: Sequence[float] = NORMS) -> float:
    """Return the norm as a number; it may be given as text, such as "inf" or "2"."""
    try:
        number = float(norm) if isinstance(norm, str) or _is_number(norm) else math.nan
    except ValueError:
        number = math.nan
    if number not in norms:
        raise InputError(f"norm must be {one_of(norms)}, got {norm!r}")
    return number


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise InputError unless the value is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise InputError(f"{name} must be a whole number >= {least}, got {value!r}")


def check_number(name: str, value: Any) -> None:
    """Raise InputError unless the value is a finite number of at least 0."""
    if not _is_number(value) or not (math.isfinite(value) and value >= 0):
        raise InputError(f"{name} must be a finite number >= 0, got {value!r}")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise InputError unless the value is one of the choices."""
    if value not in choices:
        raise InputError(f"{name} must be {one_of(choices)}, got {value!r}")


def check_eps_fits_bounds(eps: Any, x: Tensor, norm: float, bounds: Bounds) -> None:
    """Raise InputError for a radius larger than the distance between any two images."""
    largest = float(eps.max()) if isinstance(eps, Tensor) and len(eps) else 0.0
    largest = largest if isinstance(eps, Tensor) else float(eps)
    if isinstance(bounds[0], Tensor):
        return  # the features of a table: their ranges differ, and some may have none
    width = float(bounds[1] - bounds[0])
    size = x[0].numel() if len(x) else math.inf
    farthest = width if norm == math.inf else width * size ** (1 / norm)
    if largest > farthest * (1 + RADIUS_TOLERANCE):
        hint = f", such as {largest:g}/255 = {largest / 255:.4f}" if largest <= 255 else ""
        raise InputError(
            f"eps must be at most {farthest:g}, the size of the box of pixels from {bounds[0]:g} "
            f"to {bounds[1]:g}, got {largest:g}: pass it in the units of the pixels{hint}"
        )


def one_of(values: Sequence[object]) -> str:
    """Return the values as in a sentence: "inf, 2 or 1"."""
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _as_images(x: Any) -> Tensor:
    """Return the images detached, contiguous, and in a form that gradients can be computed for."""
    if not isinstance(x, Tensor):
        raise InputError(f"x must be a torch tensor, got {_type_name(x)}: torch.as_tensor(x)")
    if not x.is_floating_point():
        raise InputError(
            f"x must be a floating point tensor, such as x.float() / 255, got {x.dtype}"
        )
    if x.ndim < 2:
        raise InputError(f"x must be a batch, images first, got shape {tuple(x.shape)}")
    # Contiguous, so that the layout in memory does not change the result.
    return (x.clone() if x.is_inference() else x.detach()).contiguous()


def _as_labels(y: Any, x: Tensor) -> Tensor:
    if not isinstance(y, Tensor):
        raise InputError(
            f"y must be a torch tensor of labels, got {_type_name(y)}: torch.as_tensor(y)"
        )
    if y.dtype != torch.int64 or y.shape != x.shape[:1]:
        raise InputError(
            f"y must hold one int64 label per image, shape ({len(x)},), "
            f"got {y.dtype} of shape {tuple(y.shape)}"
        )
    if y.device != x.device:
        raise InputError(f"x is on {x.device}, y on {y.device}: move one, such as y.to(x.device)")
    return y.clone() if y.is_inference() else y


def check_not_negative(y: Tensor) -> None:
    """Raise InputError, which names the first, for a label below 0."""
    if int(y.min()) < 0:
        bad = int((y < 0).nonzero()[0])
        raise InputError(f"y must hold labels of at least 0, got {int(y[bad])} for image {bad}")


def check_finite_pixels(x: Tensor) -> None:
    """Raise InputError, which names the first image, for a NaN or infinite pixel."""
    finite = torch.isfinite(x.flatten(1)).all(1)
    if not finite.all():
        bad = int((~finite).nonzero()[0])
        raise InputError(f"x holds a NaN or infinite pixel, first in image {bad} of {len(x)}")


def _check_pixels(x: Tensor, bounds: Bounds) -> None:
    if not x.numel():
        return
    low, high = float(x.min()), float(x.max())
    inside = bool(((x >= bounds[0]) & (x <= bounds[1])).all())
    if inside and math.isfinite(low) and math.isfinite(high):
        return  # NaN compares as False
    check_finite_pixels(x)
    if isinstance(bounds[0], Tensor):
        bad = int((~((x >= bounds[0]) & (x <= bounds[1])).flatten(1).all(1)).nonzero()[0])
        raise InputError(f"x has a feature outside its bounds, first in row {bad} of {len(x)}")
    hint = f"divide x by 255, or pass bounds=({math.floor(low)}, {math.ceil(high)})"
    if low < 0 or high > 255:
        hint = "pass their bounds, or put a normalisation of pixels into the network"
    raise InputError(
        f"x must have pixels from {bounds[0]:g} to {bounds[1]:g}, got {low:g} to {high:g}: {hint}"
    )


def _check_radius(name: str, value: Any, x: Tensor, least: float | None) -> None:
    """Check that the value is a finite number of at least `least` (more than 0 if None), or a
    tensor of one such number per image."""
    allowed = "> 0" if least is None else ">= 0, such as 8/255"

    def is_allowed(number: float) -> bool:
        return math.isfinite(number) and (number > 0 if least is None else number >= least)

    if isinstance(value, Tensor) and value.ndim:
        if value.shape != x.shape[:1] or not value.is_floating_point():
            raise InputError(
                f"{name} must be a number or one per image, shape ({len(x)},), "
                f"got {value.dtype} of shape {tuple(value.shape)}"
            )
        if value_checks_are_skipped():
            return
        bad = next((number for number in value.tolist() if not is_allowed(number)), None)
        if bad is not None:
            raise InputError(f"{name} must be finite numbers {allowed}, got {bad} among them")
    elif isinstance(value, Tensor) or not _is_number(value) or not is_allowed(value):
        raise InputError(f"{name} must be a finite number {allowed}, got {value!r}")


def _check_tensor(name: str, value: Any, x: Tensor) -> None:
    """Check that `start` has the shape of x, or `reference` one row per image."""
    usable = isinstance(value, Tensor) and value.is_floating_point() and value.device == x.device
    fits = usable and (value.shape == x.shape if name == "start" else len(value) == len(x))
    if not fits:
        got = (
            f"{value.dtype} of shape {tuple(value.shape)} on {value.device}"
            if isinstance(value, Tensor)
            else _type_name(value)
        )
        shape = tuple(x.shape) if name == "start" else f"({len(x)}, classes)"
        raise InputError(f"{name} must be floating point of shape {shape} on {x.device}, got {got}")
    if not value_checks_are_skipped() and not torch.isfinite(value).all():
        raise InputError(f"{name} holds NaN or infinite values")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _type_name(value: Any) -> str:
    return f"a {type(value).__name__}"
