"""The commands that a cell needs: `sense.train` and `sense.evaluate` with its options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ..config.options import CODE_OPTIONS, option_types
from ..evaluation.settings import Settings
from ..extensions import is_code
from .cells import Cell


def train_command(cell: Cell, folder: Path, options: Mapping[str, Any]) -> list[str]:
    """Return the arguments of `python` that train the cell. `options` are those of where and how it
    runs, such as data_dir, in place of the cell's."""
    own = {**cell.options, **options}
    words = [str(cell.recipe), *arguments(own, option_types()), "--out", str(folder)]
    return ["-m", "sense.train", *words]


def resume_command(cell: Cell, folder: Path, options: Mapping[str, Any]) -> list[str]:
    """Return the arguments of `python` that resume the training. Names of code are given again."""
    code = {
        name: value
        for name in ("model", *CODE_OPTIONS)
        if is_code(value := getattr(cell.config, name))
    }
    words = arguments({**code, **options}, option_types())
    return ["-m", "sense.train", "--resume", str(folder), *words]


def evaluate_command(
    cell: Cell, evaluation: Mapping[str, Any], folder: Path, options: Mapping[str, Any]
) -> list[str]:
    """Return the arguments of `python` that evaluate the cell's run."""
    words = ["-m", "sense.evaluate", str(folder), *arguments(evaluation, get_type_hints(Settings))]
    if is_code(cell.config.model):
        words += ["--model", cell.config.model]
    return words + arguments(options, {})


def arguments(options: Mapping[str, Any], hints: Mapping[str, Any]) -> list[str]:
    """Return options as words of the command line."""
    words: list[str] = []
    for name, value in options.items():
        option = name.replace("_", "-")
        if isinstance(value, bool) and type(None) not in get_args(hints.get(name)):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, list | tuple):
            words += [f"--{option}", *map(_word, value)]
        else:
            words += [f"--{option}", _word(value)]
    return words


def _word(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
