"""Options in plain types, as JSON or R has them, and the words for what is wrong with one.

What an option may be is told by its type hint: int, float, bool, str, Path, one of some texts
(Literal), any number of one of these (tuple[int, ...]), and each of them with "| None".
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from ..errors import InputError

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a pathlib.Path",
}


def option_from_plain(value: Any, hint: Any) -> Any:
    """An option of that type: a whole number may come as a float, a number as a whole one, one
    item as itself, a path as text, and a number, such as the norm, for a text."""
    kind, _ = _without_none(hint)
    if get_origin(kind) is tuple:
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(option_from_plain(item, get_args(kind)[0]) for item in values)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and _is_whole(value):
        return float(value)
    if kind is float and isinstance(value, str) and "/" in value:
        return number_of(value)
    if get_origin(kind) is Literal and isinstance(value, int | float):
        return "inf" if value == math.inf else f"{value:g}"
    if kind is Path and isinstance(value, str):
        return Path(value)
    return value


def number_of(text: str) -> float:
    """The number that a fraction such as "8/255" is. Raises ValueError for what is none."""
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"a fraction must be a number over a number, got {text!r}") from None


def float_options(hints: Mapping[str, Any]) -> set[str]:
    """The options that are numbers, or lists of numbers, which may be written as fractions."""
    kinds = {name: _without_none(hint)[0] for name, hint in hints.items()}
    return {
        name
        for name, kind in kinds.items()
        if kind is float or (get_origin(kind) is tuple and get_args(kind)[0] is float)
    }


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raise ValueError where a value is not of the option's type."""
    kind, may_be_none = _without_none(hint)
    if value is None and may_be_none:
        return
    if get_origin(kind) is Literal:
        check_choice(name, value, get_args(kind))
    elif get_origin(kind) is tuple and get_origin(get_args(kind)[0]) is Literal:
        check(name, value, isinstance(value, tuple), "a tuple")
        for entry in value:
            check_choice(name, entry, get_args(get_args(kind)[0]))
    elif get_origin(kind) is tuple:
        item = get_args(kind)[0]
        holds = isinstance(value, tuple) and all(_is(entry, item) for entry in value)
        check(name, value, holds, f"a tuple, each {_WORDS[item]}")
    else:
        check(name, value, _is(value, kind), _WORDS[kind])


def _without_none(hint: Any) -> tuple[Any, bool]:
    """The type, and whether None may stand for it."""
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    assert len(kinds) == 1, f"an option of two types: {hint}"
    return kinds[0], True


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, float) or _is_whole(value)
    return _is_whole(value) if kind is int else isinstance(value, kind)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check(name: str, value: object, holds: bool, expected: str) -> None:
    """Raise ValueError with what was expected and what came, unless it holds."""
    if not holds:
        raise InputError(f"{name} must be {expected}, got {value!r}")


def of_255(value: float) -> str:
    """A hint for who may have meant a radius in steps of pixels from 0 to 255; empty for others."""
    return f"; {value:g}/255 = {value / 255:.4f}?" if value <= 255 else ""


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError for a value that is none of the choices."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
