"""Runs that were trained by hand, moved to the folder of a cell of the same training."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..files import make_folders, rename_file
from ..run_folder import RunFolder
from ..runs import read_run
from ..sweep import Cell
from ..sweep.state import other_options


def adopt(folder: Path, cells: Sequence[Cell], runs: Path) -> Path:
    """Move a run into the folder of the cells, under the name of the cell that has the same options
    of training, and return its new path.

    Raises InputError if no cell has these options, if there is a run of this name already, or if a
    process works on the run.
    """
    cell = matching_cell(folder, cells)
    target = runs / cell.name
    if os.path.lexists(target):
        raise InputError(f"{target} exists already: {folder} is left where it is")
    with RunFolder(folder) as run:
        run.lock()  # nobody trains it
        make_folders(runs)
        rename_file(folder, target)
    return target


def matching_cell(folder: Path, cells: Sequence[Cell]) -> Cell:
    """Return the cell that has the options of a run. Raises InputError if there is none, with what
    differs from the nearest one."""
    begun, _ = read_run(folder)
    nearest: tuple[list[str], Cell] | None = None
    for cell in cells:
        other = other_options(begun, cell)
        if not other:
            return cell
        if nearest is None or len(other) < len(nearest[0]):
            nearest = (other, cell)
    words = "" if nearest is None else f"; {nearest[1].name} differs in {', '.join(nearest[0])}"
    raise InputError(f"no cell has the options of the run in {folder}{words}")
