"""The functions that R calls to train many networks: a sweep, and the experiments of the paper."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from ..config.options import runtime_options
from ..errors import InputError, MissingFileError
from ..interrupts import noted_signals
from ..reproduce.run import Options, failures, train_and_attack, write_tables
from ..sweep import Cell, State, SweepStopped, run_cells, status_of
from ..sweep.cells import merged
from ..sweep.grid import check_used
from ..sweep.state import stored_evaluation


def sweep(
    cells: list[dict[str, Any]],
    out: str,
    retries: int = 1,
    workers: int | None = None,
    threads: int | None = None,
    data_dirs: dict[str, str] | None = None,
    on_line: Callable[[str], object] | None = None,
    columns: Sequence[str] = (),
) -> dict[str, Any]:
    """Train and evaluate many networks on this machine, as `sense.sweep.run_cells`.

    Parameters
    ----------
    cells
        The arguments of `Cell`: "options" and, optionally, "recipe" and "evaluations", at most one.
    on_line
        Called with each line of progress.
    columns
        The options that the grid varies. Those that change no result are refused, as in a file.

    Returns
    -------
    "stopped", whether it was interrupted; if not, "cells", for each cell "name", "state",
    "failure", "evaluated", the folder of its evaluation, and "used", the names of the options that
    its training depends on.
    """
    made = [
        Cell(
            cell.get("recipe"),
            cell["options"],
            [whole_numbers(options) for options in cell.get("evaluations", ())],
        )
        for cell in cells
    ]
    check_columns(columns, made)
    kept = {repr(cell.training): cell for cell in merged(made)}
    with noted_signals() as stop, lines_of_output(on_line):
        try:
            run_cells(
                made,
                out,
                workers=workers,
                threads=threads,
                retries=retries,
                data_dirs=data_dirs,
                show=on_line is not None,
                stop=stop,
            )
        except SweepStopped:
            return {"stopped": True}
    found = [kept[repr(cell.training)] for cell in made]
    return {"stopped": False, "cells": [_cell_state(cell, Path(out)) for cell in found]}


def check_columns(columns: Sequence[str], cells: Sequence[Cell]) -> None:
    """Raise InputError for a column of a grid that changes no result: rows that differ in it alone
    would be one run."""
    for option in columns:
        if option in runtime_options():
            raise InputError(
                f"{option} cannot be a column of the grid, as it does not change the result: give "
                "it as an argument for all trainings"
            )
    check_used("", "a column of the grid", columns, cells)


def whole_numbers(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with whole numbers as integers, as a command line has them. R's are floats."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return {name: plain(value) for name, value in options.items()}


def _cell_state(cell: Cell, out: Path) -> dict[str, Any]:
    status = status_of(cell, out)
    place = None
    if status.state == State.EVALUATED:
        place = str(stored_evaluation(cell.settings()[0], out / cell.name))
    return {
        "name": cell.name,
        "state": status.state.value,
        "failure": status.failure,
        "evaluated": place,
        "used": list(cell.training),
    }


def reproduce(
    name: str,
    scale: str,
    out: str,
    seeds: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    data_dirs: dict[str, str] | None = None,
    on_line: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Train, attack and write the tables of an experiment into `out`, as `sense.reproduce`. The
    networks are in its folder SCALE.

    Returns
    -------
    "stopped", whether it was interrupted; if not, "failed", by name of the networks that failed, or
    cannot be read, the reason. If all failed there is no table.

    Raises
    ------
    MissingFileError
        If there is no network to make a table of, and none failed.
    """
    options = Options(scale, seeds, Path(out) / scale, Path(out))
    with noted_signals() as stop, lines_of_output(on_line):
        try:
            summaries = train_and_attack(
                [name],
                options,
                workers=workers,
                threads=threads,
                data_dirs={key: Path(folder) for key, folder in (data_dirs or {}).items()},
                show=on_line is not None,
                stop=stop,
            )
        except SweepStopped:
            return {"stopped": True}
    failed = failures(summaries)
    try:
        failed = write_tables(name, options).unreadable | failed
    except MissingFileError:  # no network
        if not failed:
            raise
    return {"stopped": False, "failed": failed}


@contextmanager
def lines_of_output(on_line: Callable[[str], object] | None) -> Iterator[None]:
    """Give each line that is printed meanwhile to a function."""
    if on_line is None:
        yield
        return
    lines = _Lines(on_line)
    with redirect_stdout(lines), redirect_stderr(lines):
        yield


class _Lines(io.TextIOBase):
    """A text stream that calls a function with each complete line."""

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self.on_line = on_line
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self.on_line(line)
        return len(text)
