"""The options of a stored run, which an earlier version may have written."""

from collections.abc import Mapping
from typing import Any

from .options import Config
from .recipes import from_plain

RENAMED: dict[str, str] = {}  # earlier name: present name
REMOVED: tuple[str, ...] = ()  # options that only changed how fast a run was computed


def from_stored(options: Mapping[str, Any]) -> Config:
    """The options that config.json holds, by their present names. An option that is newer than the
    run has its default. Raises InputError for a name that no version had."""
    kept = {name: value for name, value in options.items() if name not in REMOVED}
    return from_plain({RENAMED.get(name, name): value for name, value in kept.items()})
