"""Options of training in a file: `--config run.toml`, or the config.json of any run."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import Config, from_plain, recipe
from .config.options import check_named_code
from .description import options_of_run, parse_description
from .errors import InputError
from .files import read_file
from .manifest import MANIFEST
from .run_folder import RunFolder
from .runs import CONFIG

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIMIT = 1 << 20  # bytes


def config_from_file(path: Path | str, options: Mapping[str, Any] | None = None) -> Config:
    """Return the options in a file, with `options` in place of some of them.

    Parameters
    ----------
    path
        A TOML file, with options by name (`-` or `_`) and, if wanted, `recipe`, the name of the
        recipe that they change; or the config.json of a run, whose options are all used.
    options
        In plain types, as in `from_plain`.

    Raises
    ------
    ValueError
        For an unknown option or value; and if the file names code that `options` do not name: code
        must not run only because a file is read.
    FileNotFoundError
        If there is no such file.
    """
    path, options = Path(path), dict(options or {})
    config = _from_toml(path) if path.suffix == ".toml" else _from_run(path)
    check_named_code(config, options, path)
    return from_plain(options, config)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises InputError if it is not TOML."""
    try:
        return tomllib.loads(read_file(path, LIMIT, follow=True).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None


def _from_toml(path: Path) -> Config:
    options = {name.replace("-", "_"): value for name, value in read_toml(path).items()}
    base = recipe(options.pop("recipe")) if "recipe" in options else None
    try:
        return from_plain(options, base)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def features_of_file(path: Path | str) -> dict[str, Any] | None:
    """Return how the features of the run were scaled (`Scaling.to_plain`), if the file is the
    config.json of a run on a table, else None."""
    path = Path(path)
    if path.suffix == ".toml":
        return None
    data: dict[str, Any] = parse_description(_read(path), path)[1]["data"]
    return data.get("features")


def _from_run(path: Path) -> Config:
    if path.suffix != ".json":
        raise InputError(f"{path} must be a .toml file, or the config.json of a run")
    return options_of_run(_read(path), path)


def _read(path: Path) -> bytes:
    if path.name == CONFIG and os.path.lexists(path.with_name(MANIFEST)):
        return RunFolder(path.parent).read(CONFIG)
    return read_file(path, LIMIT, follow=True)
