"""The command `python -m sense.sweep`."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ..cli import command
from ..config.options import Help
from ..errors import InputError
from ..interrupts import noted_signals
from .cells import Cell
from .grid import read_grid
from .run import SweepStopped, run_cells
from .state import State, status_of
from .table import accuracies, write_table

FAILED_STATUS = 1  # exit status if cells are not done


@dataclass(frozen=True)
class SweepArguments:
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
    runner: Annotated[
        Literal["local", "slurm", "ray"],
        Help(
            "where the cells run. local: in processes of this machine; slurm: as an array of jobs, "
            "through submitit; ray: on a cluster of Ray. --out and the data must then be on a disk "
            "that all machines share"
        ),
    ] = "local"
    workers: Annotated[
        int | None,
        Help(
            "number of cells at once",
            default="local: one per core, or per GPU; slurm, ray: as many as there is room for",
        ),
    ] = None
    threads: Annotated[
        int | None,
        Help("CPU threads of each cell", default="local: cores divided by workers; slurm, ray: 1"),
    ] = None
    retries: Annotated[int, Help("number of times that a cell that crashed is started again")] = 1
    mnist: Annotated[
        Path | None,
        Help("folder with the files of MNIST", default="downloaded into the cache directory"),
    ] = None
    cifar10: Annotated[
        Path | None,
        Help("folder with the files of CIFAR10", default="downloaded into the cache directory"),
    ] = None
    gpus: Annotated[float, Help("slurm, ray: GPUs of each cell; ray: also a part, 0.5")] = 0
    slurm: Annotated[
        tuple[str, ...],
        Help(
            "further options of the jobs, NAME=VALUE, as submitit's AutoExecutor has them: "
            "timeout_min=600 slurm_partition=gpu mem_gb=8",
            default="timeout_min=1440",
        ),
    ] = ()
    ray: Annotated[
        str | None,
        Help("address of the head of the cluster, HOST:PORT", default="RAY_ADDRESS, or this one"),
    ] = None
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
            "command is interrupted, run it again to go on."
        ),
    )
    cells = read_grid(arguments.grid, arguments.code)
    if arguments.list:
        list_cells(cells, arguments.out)
    else:
        run_all(cells, arguments)


def run_all(cells: list[Cell], arguments: SweepArguments) -> None:
    """Run the cells, print what they have come to and write the table."""
    folders = {"mnist": arguments.mnist, "cifar10": arguments.cifar10}
    with noted_signals() as stop:
        try:
            summary = run_cells(
                cells,
                arguments.out,
                arguments.runner,
                **runner_options(arguments),
                workers=arguments.workers,
                threads=arguments.threads,
                retries=arguments.retries,
                data_dirs={name: path for name, path in folders.items() if path is not None},
                show=True,
                stop=stop,
            )
        except SweepStopped as stopped:
            print(stopped, file=sys.stderr, flush=True)
            sys.exit(128 + stopped.reason)
    print(f"{summary} in {arguments.out}")
    if arguments.table is not None:
        write_table(arguments.table, accuracies(arguments.out, cells))
        print(f"table: {arguments.table}")
    if summary.failed:
        for name, reason in summary.failed.items():
            print(f"sense.sweep: {name} failed: {reason}", file=sys.stderr)
        sys.exit(FAILED_STATUS)


def runner_options(arguments: SweepArguments) -> dict[str, Any]:
    """Return the options of the runner. Raises InputError for one of another runner."""
    own = {"gpus": ("slurm", "ray"), "slurm": ("slurm",), "ray": ("ray",)}
    found = {name: getattr(arguments, name) for name in own if getattr(arguments, name)}
    for name in found:
        if arguments.runner not in own[name]:
            raise InputError(
                f"--{name} is for --runner {' and '.join(own[name])}, got --runner "
                f"{arguments.runner}: leave it out"
            )
    names = {"slurm": "parameters", "ray": "address"}
    if "slurm" in found:
        found["slurm"] = dict(map(_named_value, found["slurm"]))
    return {names.get(name, name): value for name, value in found.items()}


def _named_value(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; whole numbers and fractions are numbers."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"an option of slurm must be NAME=VALUE, got {text!r}")
    for number in (int, float):
        with suppress(ValueError):
            return name, number(value)
    return name, value


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
