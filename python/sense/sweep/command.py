"""The command `python -m sense.sweep`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..cli import command
from ..config.options import Help
from ..errors import InputError, MissingFileError
from .cells import Cell
from .grid import read_grid
from .run import run_cells
from .runner_arguments import RunnerArguments, stop_by_signal
from .state import State, status_of
from .table import accuracies, write_table

FAILED_STATUS = 1  # exit status if cells are not done


@dataclass(frozen=True, kw_only=True)
class SweepArguments(RunnerArguments):
    grid: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(
            metavar="GRID.toml",
            help="file with the options of all cells, the grid and the evaluation",
            help_behavior_hint="(required)",
        ),
    ]
    out: Annotated[Path, Help("folder of the sweep, with a run folder for each cell")] = Path(
        "runs"
    )
    code: Annotated[
        tuple[str, ...],
        Help("names of code, MODULE:NAME, that the grid may name", default="none"),
    ] = ()
    list: Annotated[
        bool, tyro.conf.FlagCreatePairsOff, Help("show the state of each cell, and run nothing")
    ] = False
    table: Annotated[
        Path | None,
        Help("write the accuracies of all cells into this CSV file, at the end"),
    ] = None


@command("sense.sweep")
def sweep_main(argv: list[str]) -> None:
    """`python -m sense.sweep`."""
    arguments = tyro.cli(
        SweepArguments,
        args=argv,
        prog="python -m sense.sweep",
        description=(
            "Train and evaluate every cell of a grid, each in a run folder of its own. What is "
            "done is skipped, what was begun is resumed, and what failed is tried again. If the "
            "command is interrupted, run it again to resume."
        ),
    )
    cells = read_grid(arguments.grid, arguments.code)
    check_table(arguments, cells)
    if arguments.list:
        list_cells(cells, arguments.out)
    else:
        run_all(cells, arguments)


def run_all(cells: list[Cell], arguments: SweepArguments) -> None:
    """Run the cells, print how many are in which state, and write the table."""
    with stop_by_signal() as stop:
        summary = run_cells(cells, arguments.out, **arguments.run_options(), show=True, stop=stop)
    print(f"{summary} in {arguments.out}")
    for name, reason in summary.failed.items():
        print(f"sense.sweep: {name} failed: {reason}", file=sys.stderr)
    if arguments.table is not None:
        rows = accuracies(arguments.out, cells)
        if rows or not summary.failed:
            write_table(arguments.table, rows)
            print(f"table: {arguments.table}")
        else:
            print("sense.sweep: no table, as no cell is evaluated", file=sys.stderr)
    if summary.failed:
        sys.exit(FAILED_STATUS)


def check_table(arguments: SweepArguments, cells: list[Cell]) -> None:
    """Raise InputError if the table could not be written at the end."""
    table = arguments.table
    if table is None:
        return
    if arguments.list:
        raise InputError("--list writes no table: leave out --table, or --list")
    evaluated = arguments.out.is_dir() and accuracies(arguments.out, cells)
    if not any(cell.evaluations for cell in cells) and not evaluated:
        raise InputError(
            "the grid has no evaluation, so there is nothing for the table: add [evaluation] to "
            "it, or leave out --table"
        )
    if table.is_dir():
        raise InputError(f"--table must be a file, {table} is a folder: name a file in it")
    if not table.parent.is_dir():
        raise MissingFileError(
            f"no folder {table.parent} for the table: create it, or name another"
        )


def list_cells(cells: list[Cell], out: Path) -> None:
    """Print the name and the state of each cell."""
    for cell in cells:
        status = status_of(cell, out)
        progress = status.progress
        text = status.state.value
        if status.state not in (State.MISSING, State.EVALUATED):
            text += f", {progress.epochs} of {progress.of} epochs"
        if status.failure is not None:
            text += f": {status.failure}"
        print(f"{cell.name}: {text}")
