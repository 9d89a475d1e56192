"""A grid in a TOML file: which cells a sweep has.

recipe = "cifar10-cnn"
[options]                    # of all cells
epochs = 20
[grid]                       # every combination of these
method = ["r-at", "sense"]
c = [0.3, 0.5]
seed = [1, 2, 3]
[evaluation]                 # options of sense.evaluate
attacks = ["pgd", "autoattack"]
n = 1000
[[also]]                     # further cells: on top of the common options, with a grid of their own
options = {method = "sense", boundary = "bisect"}
grid = {c = [0.3, 0.5], seed = [1]}
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..config.options import CODE_OPTIONS, option_types, runtime_options, uses
from ..config_files import read_toml
from ..errors import InputError
from ..extensions import is_code
from .cells import Cell, merged

MAX_CELLS = 100_000
BLOCK = ("recipe", "options", "grid", "evaluation")


def read_grid(path: Path | str, code: Sequence[str] = ()) -> list[Cell]:
    """Return the cells of a grid, in its order, each training once.

    Parameters
    ----------
    path
        A TOML file with `recipe`, `options`, `grid`, `evaluation` and `also`, see `sense.sweep`.
    code
        Names of code, MODULE:NAME, that the file may name: code must not run only because a file
        is read.

    Raises
    ------
    InputError
        For anything that is unknown or wrong in the file.
    """
    path = Path(path)
    content = read_toml(path)
    try:
        cells = grid_cells(content, path.parent)
        for block in (content, *content.get("also", [])):  # one may be for cells of another block
            check_used("", "in the options", _table("", block, "options"), cells)
        check_code(cells, code)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return cells


def grid_cells(content: Mapping[str, Any], folder: Path | None = None) -> list[Cell]:
    """Return the cells of a grid that is given as the content of such a file. Relative paths in it
    are taken from the `folder`; default: the working directory."""
    folder = folder or Path()
    _check_names("", content, (*BLOCK, "also"))
    also = content.get("also", [])
    if not isinstance(also, list) or not all(isinstance(block, Mapping) for block in also):
        raise InputError(f"also must be tables, [[also]], got {also!r}")
    cells = _block_cells("", content, {}, folder)
    for number, block in enumerate(also, 1):
        where = f"[[also]] {number}: "
        _check_names(where, block, BLOCK)
        cells += _block_cells(where, block, content, folder)
    if not cells:
        raise InputError("there is no cell: give options or a grid, such as seed = [1, 2, 3]")
    return merged(cells)


def check_code(cells: Sequence[Cell], named: Sequence[str]) -> None:
    """Raise InputError if the cells name code that the user has not named."""
    for cell in cells:
        found = [getattr(cell.config, option) for option in ("model", *CODE_OPTIONS)]
        found += [attack for settings in cell.settings() for attack in settings.attacks]
        found += [settings.source_model for settings in cell.settings()]
        for name in found:
            if is_code(name) and name not in named:
                raise InputError(
                    f"it names {name}, code that would be run with your rights. If you trust it, "
                    f"name it yourself: --code {name}"
                )


def _block_cells(
    where: str, block: Mapping[str, Any], common: Mapping[str, Any], folder: Path
) -> list[Cell]:
    """Return the cells of one block, on top of what is common to all."""
    if not common and not (block.keys() & {"options", "grid", "recipe"}):
        return []
    if not common and "also" in block and "grid" not in block:
        return []  # what is common to the blocks that follow, without a cell of its own
    own, grid = _table(where, block, "options"), _table(where, block, "grid")
    _check_grid(where, grid, own)
    options = _from_folder("data_dir", _table("", common, "options") | own, folder)
    recipe = block.get("recipe", common.get("recipe"))
    evaluations = [
        _from_folder("source", one, folder)
        for one in _evaluations(where, block if "evaluation" in block else common)
    ]
    combinations = [
        options | dict(zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]
    try:
        cells = [Cell(recipe, combination, evaluations) for combination in combinations]
    except InputError as error:
        raise InputError(f"{where}{error}") from None
    check_used(where, "in the grid", grid, cells)
    return cells


def check_used(where: str, place: str, options: Iterable[str], cells: Sequence[Cell]) -> None:
    """Raise InputError for an option that no cell uses. `place` says where it is, as in "in the
    grid"."""
    for option in options:
        if not any(uses(cell.config.method, option) for cell in cells):
            methods = ", ".join(dict.fromkeys(cell.config.method for cell in cells))
            raise InputError(
                f"{where}{option} is {place}, but no method there uses it ({methods}): leave "
                "it out, or add a method that does"
            )


def _from_folder(name: str, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return options with a path taken from a folder, if it is given and relative."""
    path = options.get(name)
    if not isinstance(path, str) or path in ("", "None"):
        return options
    return {**options, name: str(folder.absolute() / path)}


def _check_grid(where: str, grid: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    for option, values in grid.items():
        if option not in option_types():
            nearest = get_close_matches(option, option_types(), 1)
            raise InputError(
                f"{where}unknown option {option} in the grid"
                + (f": {nearest[0]}?" if nearest else "")
            )
        if not isinstance(values, list | tuple) or not values:
            raise InputError(
                f"{where}{option} in the grid must be a list of values, such as [1, 2], got "
                f"{values!r}"
            )
        if option in runtime_options():
            raise InputError(
                f"{where}{option} cannot be in the grid, as it does not change the result: put it "
                f"under [options], got {values!r}"
            )
        if option in options:
            raise InputError(
                f"{where}{option} is both in the options ({options[option]!r}) and in the grid "
                f"({values!r}): leave out one"
            )
    combinations = 1
    for values in grid.values():
        combinations *= len(values)
    if combinations > MAX_CELLS:
        raise InputError(
            f"{where}the grid has {combinations:,} combinations, more than {MAX_CELLS:,}: leave "
            "out values"
        )


def _table(where: str, block: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = block.get(name, {})
    if not isinstance(value, Mapping):
        raise InputError(f"{where}{name} must be a table of options by name, got {value!r}")
    found: dict[str, Any] = {}
    for option, one in value.items():
        plain = option.replace("-", "_")
        if plain in found:
            raise InputError(f"{where}{name} has {plain} twice, with - and with _: leave out one")
        found[plain] = one
    return found


def _evaluations(where: str, block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the evaluations of a block: one table, or a list of several."""
    value = block.get("evaluation", [])
    several = value if isinstance(value, list) else [value]
    return [_table(where, {"evaluation": one}, "evaluation") for one in several]


def _check_names(where: str, block: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in block:
        if name not in known:
            hint = "; options of training belong under [options]" if name in option_types() else ""
            raise InputError(f"{where}unknown entry {name}: there are {', '.join(known)}{hint}")
