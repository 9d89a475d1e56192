"""Parse config.json. It may come from anybody, so all of it is checked before any of it is used."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from .config import Config, from_stored
from .config.options import option_types, runtime_options
from .data import Scaling
from .errors import InputError
from .files import parse_json

# Far above known data: ImageNet-21k has 21,841 classes and fewer than a million values per image.
MAX_VALUES_PER_IMAGE = 100_000_000
MAX_CLASSES = 1_000_000
MAX_NAME_LENGTH = 1000
ASKED = "asked_epochs"  # the number of epochs before `minutes` planned another


def parse_description(content: bytes | str, source: Path | str) -> tuple[Config, dict[str, Any]]:
    """Return the options of a run and the whole content of its config.json.

    Raises InputError, which names `source`, for anything that `create_run` would not have written.
    """
    description = parse_json(content, source)
    for part in ("config", "data"):
        if not isinstance(description.get(part), dict):
            raise _bad(source, part, "an object", description.get(part))
    _check_data(description["data"], source)
    _check_epochs(description, source)
    check_runtime_options(description.get("runtime_options"), source)
    try:
        return from_stored(description["config"]), description
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(f"{source} has invalid options: {error}") from None


def options_of_run(content: bytes | str, source: Path | str) -> Config:
    """Return the options to train the same as a run again. A number of epochs that `minutes` has
    planned is then that number, and not planned anew. Raises InputError as `parse_description`."""
    return replace(parse_description(content, source)[0], minutes=None)


def check_runtime_options(names: Any, source: Path | str) -> None:
    """Raise InputError unless these are names of options that do not change a result. None is
    allowed: older runs do not list them."""
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    changing = set(option_types()) - set(runtime_options())
    if names is not None and (not listed or changing & set(names)):
        raise _bad(source, "runtime_options", f"some of {', '.join(runtime_options())}", names)


def _check_epochs(description: dict[str, Any], source: Path | str) -> None:
    """Check the earlier numbers of epochs; older runs have none."""
    if not _is_count(description.get(ASKED, 1)):
        raise _bad(source, ASKED, "a whole number of at least 1", description[ASKED])
    resumed = description.get("resumed", [])
    try:
        numbers = [note["options"].get("epochs", {"before": 1})["before"] for note in resumed]
    except (AttributeError, KeyError, TypeError):
        numbers = [None]
    if not isinstance(resumed, list) or not all(map(_is_count, numbers)):
        raise _bad(source, "resumed", "a list of changes of options", resumed)


def _check_data(data: dict[str, Any], source: Path | str) -> None:
    shape, classes = data.get("shape"), data.get("classes")
    sizes = 1 if "features" in data else 3
    if not (isinstance(shape, list) and len(shape) == sizes and all(map(_is_count, shape))):
        expected = "three whole numbers" if sizes == 3 else "one whole number"
        raise _bad(source, "data.shape", f"{expected} of at least 1", shape)
    if math.prod(shape) > MAX_VALUES_PER_IMAGE:
        raise _bad(
            source, "data.shape", f"of at most {MAX_VALUES_PER_IMAGE:,} values per image", shape
        )
    if not isinstance(classes, list) or not all(_is_name(name) for name in classes):
        raise _bad(source, "data.classes", "a list of the names of the classes", classes)
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise _bad(source, "data.classes", f"1 to {MAX_CLASSES:,} names", f"{len(classes)} names")
    if not _is_name(data.get("name")):
        raise _bad(source, "data.name", "the name of the data", data.get("name"))
    if not re.fullmatch("[0-9a-f]{64}", str(data.get("sha256"))):
        raise _bad(source, "data.sha256", "64 hexadecimal digits", data.get("sha256"))
    if "features" in data:
        _check_features(data["features"], shape[0], source)


def _check_features(features: Any, d: int, source: Path | str) -> None:
    if not isinstance(features, dict):
        raise _bad(source, "data.features", "an object", features)
    try:
        names = Scaling.from_plain(features).names
    except InputError as error:
        raise InputError(f"{source} is damaged, or was changed: data.{error}") from None
    if len(names) != d or not all(map(_is_name, names)):
        raise _bad(source, "data.features.names", f"{d} names", list(names))


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or len(value) > MAX_NAME_LENGTH:
        return False
    return value.encode("utf-8", "ignore").decode() == value  # no lone surrogates


def _bad(source: Path | str, part: str, expected: str, got: object) -> InputError:
    text = repr(got)
    text = text if len(text) <= 80 else f"{text[:77]}..."
    return InputError(f"{source} is damaged, or was changed: {part} must be {expected}, got {text}")
