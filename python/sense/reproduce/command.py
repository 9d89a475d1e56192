"""The command `python -m sense.reproduce`."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from ..cli import command
from ..config.options import Help
from ..devices import choose_device
from ..errors import InputError
from ..progress import duration
from ..sweep import Cell
from ..sweep.cells import merged
from ..sweep.runner_arguments import RunnerArguments, stop_by_signal
from .adopt import adopt
from .experiment import SCALES, ScaleName
from .experiments import EXPERIMENTS, get_experiment
from .hours import Estimate, estimate_cells
from .listing import VERDICTS, listing, markdown
from .run import Options, cells_to_do, failures, train_and_attack, write_tables

FAILED_STATUS = 1  # exit status if cells failed
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class ReproduceArguments(RunnerArguments):
    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(
            metavar="NAME ...",
            help=f"{', '.join(EXPERIMENTS)}, or {ALL}; without a name, all are listed",
            help_behavior_hint="",
        ),
    ] = ()
    scale: Annotated[ScaleName, Help("; ".join(f"{n}: {t}" for n, t in SCALES.items()))] = "cpu"
    seeds: Annotated[
        int | None,
        Help("number of seeds of every training", default="those of the experiment"),
    ] = None
    runs: Annotated[
        Path | None,
        Help(
            "folder of the trained networks, which all experiments of a scale share",
            default="reproduce/SCALE",
        ),
    ] = None
    out: Annotated[Path, Help("folder of the tables")] = Path("reproduce")
    hours: Annotated[
        bool,
        tyro.conf.FlagCreatePairsOff,
        Help("show how long each training and its attacks take on one core, and run nothing"),
    ] = False
    stored: Annotated[
        bool,
        tyro.conf.FlagCreatePairsOff,
        Help("make the tables of the networks that are in --runs, and train nothing"),
    ] = False
    extend: Annotated[
        bool,
        tyro.conf.FlagCreatePairsOff,
        Help(
            "keep the networks of the result in --out: those whose rows are complete are neither "
            "trained nor attacked again"
        ),
    ] = False
    adopt: Annotated[
        tuple[Path, ...],
        Help(
            "move these runs, trained with the options of cells of the named experiments, into "
            "--runs, and run nothing",
            default="none",
        ),
    ] = ()
    compress: Annotated[
        bool, tyro.conf.FlagCreatePairsOff, Help("gzip the tables, as those of the package are")
    ] = False
    markdown: Annotated[
        bool,
        tyro.conf.FlagCreatePairsOff,
        Help("without a name: print the tables of docs/reproduce.md"),
    ] = False


@command("sense.reproduce")
def reproduce_main(argv: list[str]) -> None:
    """`python -m sense.reproduce`."""
    arguments = tyro.cli(
        ReproduceArguments,
        args=argv,
        prog="python -m sense.reproduce",
        description=(
            "Reproduce tables and figures of the paper: train the networks that are missing, "
            "attack them, write a table, and say which claims of the paper hold. What is done is "
            "not repeated. If the command is interrupted, run it again to continue."
        ),
    )
    check_options(arguments)
    if not arguments.names:
        print(markdown() if arguments.markdown else "\n".join(listing()))
        return
    for name in arguments.names:
        if name != ALL:
            get_experiment(name)
    names = list(EXPERIMENTS) if ALL in arguments.names else list(dict.fromkeys(arguments.names))
    options = Options(
        arguments.scale,
        arguments.seeds,
        arguments.runs or Path("reproduce") / arguments.scale,
        arguments.out,
        arguments.compress,
        arguments.extend,
    )
    if arguments.adopt:
        adopt_runs(arguments.adopt, _cells(names, options), options.runs)
    elif arguments.hours:
        show_hours(_cells(names, options), options.runs)
    else:
        failed = {} if arguments.stored else run_cells_of(names, options, arguments)
        shown = [show_result(name, options, failed) for name in names]
        for name, reason in failed.items():
            print(f"sense.reproduce: {name} failed: {reason}", file=sys.stderr)
        if failed or not all(shown):
            sys.exit(FAILED_STATUS)


def check_options(arguments: ReproduceArguments) -> None:
    """Raise InputError for options that would be ignored: any without a name, which only lists, and
    two that say what is done in place of a run."""
    given = [one.name for one in fields(arguments) if getattr(arguments, one.name) != one.default]
    if not arguments.names:
        ignored = [f"--{name}" for name in given if name != "markdown"]
        if ignored:
            raise InputError(
                f"{', '.join(ignored)} without a name: without one, the experiments are only "
                f"listed. Pass the name of an experiment, or {ALL}"
            )
    elif arguments.markdown:
        raise InputError(
            f"--markdown prints all stored results, got the name {arguments.names[0]}: leave out "
            "one of them"
        )
    actions = [f"--{name}" for name in ("adopt", "hours", "stored") if name in given]
    if len(actions) > 1:
        raise InputError(f"{' and '.join(actions)} exclude each other: leave out all but one")


def run_cells_of(
    names: list[str], options: Options, arguments: ReproduceArguments
) -> dict[str, str]:
    """Train and attack; return why cells failed, by name."""
    cells = _cells(names, options)
    if cells and options.scale != "smoke" and choose_device("auto").type == "cpu":
        print(total_time(estimate_cells(cells, options.runs)), flush=True)
    with stop_by_signal() as stop:
        summaries = train_and_attack(
            names, options, **arguments.run_options(), show=True, stop=stop
        )
    return failures(summaries)


def show_result(name: str, options: Options, failed: Mapping[str, str]) -> bool:
    """Write the result of an experiment, and print its path and the verdicts, or why there is none;
    and why cells cannot be read, but for those that are known to have failed. Returns whether there
    is a result of all cells that are stored."""
    try:
        written = write_tables(name, options)
    except InputError as error:
        print(f"sense.reproduce: {name}: {error}", file=sys.stderr)
        return False
    print(f"{name}: {written.path}")
    for claim in written.claims:
        print(f"  {claim['verdict']}: {claim['text']} ({claim['place']}). {claim['evidence']}")
    if written.claims:
        print(f"  claims: {_counts(written.claims)}")
    for cell, reason in written.unreadable.items():
        if cell not in failed:
            print(f"sense.reproduce: {cell} cannot be read: {reason}", file=sys.stderr)
    return not written.unreadable


def _counts(claims: list[dict[str, Any]]) -> str:
    counts = Counter(claim["verdict"] for claim in claims)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def show_hours(cells: list[Cell], runs: Path) -> None:
    """Print the time of each cell, and of all."""
    estimates = estimate_cells(cells, runs)
    for estimate in estimates:
        print(estimate)
    print(total_time(estimates))


def total_time(estimates: list[Estimate]) -> str:
    """Return the time of all cells in words."""
    total = sum(one.training + one.attacks for one in estimates)
    left = sum(one.training + one.attacks for one in estimates if not one.done)
    return (
        f"{len(estimates)} cells: {duration(total)} of one core, at most; {duration(left)} of it "
        "for cells that are not done"
    )


def adopt_runs(folders: tuple[Path, ...], cells: list[Cell], runs: Path) -> None:
    for folder in folders:
        print(f"{folder}: now {adopt(folder, cells, runs)}")


def _cells(names: list[str], options: Options) -> list[Cell]:
    """The cells of all experiments that train networks, each training once, without those that are
    kept."""
    experiments = [experiment for experiment in map(get_experiment, names) if experiment.plans]
    return merged([cell for one in experiments for cell in cells_to_do(one, options)])
