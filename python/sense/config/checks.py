"""Conversion of options from JSON and R, and checks of their types.

The type hint of an option is int, float, bool, str, Path, a Literal of texts, a Literal "| str",
which also takes the name of code (MODULE:NAME), or a tuple of any number of one of these
(tuple[int, ...]), or such a tuple or a text of a Literal; each may be optional ("| None").
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from ..errors import InputError
from ..extensions import is_code

_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a pathlib.Path",
}


def option_from_plain(value: Any, hint: Any) -> Any:
    """Convert a value from JSON or R to the type of the option, if that is possible.

    R gives 3.0 for 3 and one item for a list of one; the norm may be a number; a number may be one
    of numpy, or a fraction as text, such as "8/255". "None" is None where that is allowed, as in
    the shell: TOML has no null.
    """
    kind, optional = _split_optional(hint)
    if isinstance(value, np.generic):  # of numpy.arange and the like
        value = value.item()
    if optional and isinstance(value, str) and value == "None":
        return None
    if (value is None and optional) or (isinstance(value, str) and value in _words(hint)):
        return value
    if get_origin(kind) is tuple:
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(option_from_plain(item, get_args(kind)[0]) for item in values)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and _is_whole(value):
        return float(value)
    if kind is float and isinstance(value, str) and "/" in value:
        return parse_fraction(value)
    if get_origin(kind) is Literal and isinstance(value, int | float):
        return "inf" if value == math.inf else f"{value:g}"
    if kind is Path and isinstance(value, str):
        return Path(value)
    return value


def parse_fraction(text: str) -> float:
    """Return the value of a fraction such as "8/255". Raises InputError for other text."""
    numerator, _, denominator = text.partition("/")
    try:
        return float(numerator) / float(denominator)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"a fraction must be a number over a number, got {text!r}") from None


def float_options(hints: Mapping[str, Any]) -> set[str]:
    """Return the names of the options that are numbers or lists of numbers, which may be written as
    fractions."""
    kinds = {name: _split_optional(hint)[0] for name, hint in hints.items()}
    return {
        name
        for name, kind in kinds.items()
        if kind is float or (get_origin(kind) is tuple and get_args(kind)[0] is float)
    }


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raise InputError if a value does not have the type of the option."""
    kind, optional = _split_optional(hint)
    if (value is None and optional) or (isinstance(value, str) and value in _words(hint)):
        return
    if get_origin(kind) in (Literal, UnionType, Union):
        _check_name(name, value, kind)
    elif get_origin(kind) is tuple and get_origin(get_args(kind)[0]) in (Literal, UnionType, Union):
        check(name, value, isinstance(value, tuple), "a tuple")
        for entry in value:
            _check_name(name, entry, get_args(kind)[0])
    elif get_origin(kind) is tuple:
        item = get_args(kind)[0]
        valid = isinstance(value, tuple) and all(_has_type(entry, item) for entry in value)
        words = "".join(f", or {word}" for word in _words(hint))
        check(name, value, valid, f"a tuple, each {_TYPE_NAMES[item]}{words}")
    else:
        check(name, value, _has_type(value, kind), _TYPE_NAMES[kind])


def _split_optional(hint: Any) -> tuple[Any, bool]:
    """Return the type without "| None", and whether None is allowed."""
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    kinds = tuple(kind for kind in get_args(hint) if kind is not NoneType)
    tuples = [kind for kind in kinds if get_origin(kind) is tuple]
    optional = len(kinds) < len(get_args(hint))
    return tuples[0] if tuples else Union[kinds], optional  # noqa: UP007  of a tuple of types


def _words(hint: Any) -> tuple[str, ...]:
    """Return the texts that may be given instead of a tuple."""
    if get_origin(_split_optional(hint)[0]) is not tuple:
        return ()
    return next((get_args(kind) for kind in get_args(hint) if get_origin(kind) is Literal), ())


def _check_name(name: str, value: Any, kind: Any) -> None:
    """Raise InputError unless the value is one of the names, or also, for a Literal with "| str",
    the name of code."""
    if get_origin(kind) is Literal:
        check_choice(name, value, get_args(kind))
        return
    choices = next(get_args(part) for part in get_args(kind) if get_origin(part) is Literal)
    if not is_code(value):
        check_choice(name, value, (*choices, "MODULE:NAME"))


def _has_type(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, float) or _is_whole(value)
    return _is_whole(value) if kind is int else isinstance(value, kind)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check(name: str, value: object, valid: bool, expected: str) -> None:
    """Raise InputError with the expected and the received value, unless it is valid."""
    if not valid:
        raise InputError(f"{name} must be {expected}, got {value!r}")


def eps_hint(eps: float) -> str:
    """Return a hint for a radius that may be meant for pixel values from 0 to 255, else ""."""
    return f"; {eps:g}/255 = {eps / 255:.4f}?" if eps <= 255 else ""


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise InputError for a value that is not one of the choices."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
