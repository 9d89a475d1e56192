"""config.json as text that somebody may have written: checked before any of it is used."""

import re
from pathlib import Path
from typing import Any

from .config import Config, from_stored
from .config.options import option_types, runtime_options
from .errors import InputError
from .files import parse_json

# Far above what is known: ImageNet-21k has 21,841 classes, its images under a million numbers.
MOST_NUMBERS = 100_000_000
MOST_CLASSES = 1_000_000
LONGEST_NAME = 1000


def parse_description(content: bytes | str, where: Path | str) -> tuple[Config, dict[str, Any]]:
    """The options of a run, and all of its config.json, of which `where` says whose it is.

    Raises InputError for what `create_run` would not have written.
    """
    description = parse_json(content, where)
    for part in ("config", "data"):
        if not isinstance(description.get(part), dict):
            raise _bad(where, part, "an object", description.get(part))
    _check_data(description["data"], where)
    check_runtime_options(description.get("runtime_options"), where)
    try:
        return from_stored(description["config"]), description
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(f"{where} has options that are none: {error}") from None


def check_runtime_options(names: Any, where: Path | str) -> None:
    """Raise InputError unless these are names of options that do not change a result, or None, in a
    run from before they were written."""
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    changing = set(option_types()) - set(runtime_options())
    if names is not None and (not listed or changing & set(names)):
        raise _bad(where, "runtime_options", f"some of {', '.join(runtime_options())}", names)


def _check_data(data: dict[str, Any], where: Path | str) -> None:
    shape, classes = data.get("shape"), data.get("classes")
    if not (isinstance(shape, list) and len(shape) == 3 and all(_is_count(n) for n in shape)):
        raise _bad(where, "data.shape", "three whole numbers of 1 or more", shape)
    if shape[0] * shape[1] * shape[2] > MOST_NUMBERS:
        raise _bad(where, "data.shape", f"of at most {MOST_NUMBERS:,} numbers an image", shape)
    if not isinstance(classes, list) or not all(_is_name(name) for name in classes):
        raise _bad(where, "data.classes", "a list of the names of the classes", classes)
    if not 1 <= len(classes) <= MOST_CLASSES:
        raise _bad(where, "data.classes", f"1 to {MOST_CLASSES:,} names", f"{len(classes)} names")
    if not _is_name(data.get("name")):
        raise _bad(where, "data.name", "the name of the data", data.get("name"))
    if not re.fullmatch("[0-9a-f]{64}", str(data.get("sha256"))):
        raise _bad(where, "data.sha256", "64 hexadecimal digits", data.get("sha256"))


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        return False
    return value.encode("utf-8", "ignore").decode() == value  # half a character is none


def _bad(where: Path | str, part: str, expected: str, got: object) -> InputError:
    told = repr(got)
    told = told if len(told) <= 80 else f"{told[:77]}..."
    return InputError(f"{where} is damaged, or was changed: {part} must be {expected}, got {told}")
