"""Runs that were trained by hand, moved to the folder of a cell of the same training."""

import errno
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..errors import FileError, InputError
from ..files import make_folders, remove_if_empty, rename_file
from ..run_folder import RunFolder
from ..runs import read_run
from ..sweep import Cell
from ..sweep.state import other_options

NOT_MOVED = (errno.EXDEV, errno.EBUSY)  # to another disk; a folder at which a disk is mounted


def adopt(folder: Path, cells: Sequence[Cell], runs: Path) -> Path:
    """Move a run into the folder of the cells, under the name of the cell that has the same options
    of training, and return its new path.

    Raises InputError if no cell has these options, if there is a run of this name already, if a
    process works on the run, or if the folder is a link, holds the folder of the cells, or is on
    another disk than that one. The run then stays where it is.
    """
    if folder.is_symlink():
        raise InputError(f"{folder} is a link: pass the folder itself, {folder.resolve()}")
    # "." cannot be moved, its path can; relative paths may then lead elsewhere.
    whole, runs = folder.resolve(), runs.resolve()
    cell = matching_cell(whole, cells)
    target = runs / cell.name
    if os.path.lexists(target):
        raise InputError(f"{target} exists already: {folder} is left where it is")
    if runs.is_relative_to(whole):
        raise InputError(
            f"{folder} cannot be moved into itself: {runs} is inside it. Choose another --runs"
        )
    with RunFolder(whole) as run:
        run.lock()  # nobody trains it
        made = make_folders(runs)
        try:
            _move(whole, target)
        except InputError:
            for empty in reversed(made):
                remove_if_empty(empty)
            raise
    return target


def _move(folder: Path, target: Path) -> None:
    try:
        rename_file(folder, target)
    except FileError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in NOT_MOVED:
            raise
        command = shlex.join(["cp", "-r", str(folder), str(target)])
        raise InputError(
            f"{folder} cannot be moved to {target}, which is on another disk: copy it by {command}"
        ) from error


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
