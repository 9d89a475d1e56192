"""Train what is missing, attack it, and write the tables: `reproduce`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..evaluation.summary import read_evaluation
from ..runs import provenance, read_run
from ..sweep import Cell, Summary, run_cells
from ..sweep.commands import train_command
from ..sweep.state import evaluation_folders, progress_of
from .claims import judge
from .curves import convergence_curves
from .experiment import Experiment
from .experiments import get_experiment, get_plan, plan_cells, transfer_cells
from .figures import draw_figure
from .hours import attack_time, training_time
from .results import as_stored, write_result
from .shortened import shortened
from .table import Row, rows_of_cell

KEPT_PROVENANCE = ("commit", "time", "torch", "python", "machine", "threads")


@dataclass(frozen=True)
class Options:
    """What is reproduced, and where.

    Attributes
    ----------
    scale, seeds
        As in `get_plan` and `plan_cells`.
    runs
        Folder of the cells, which all experiments of a scale share.
    out
        Folder of the results.
    compress
        Whether tables are gzipped.
    """

    scale: str
    seeds: int | None
    runs: Path
    out: Path
    compress: bool = False


def all_cells(experiment: Experiment, options: Options) -> list[Cell]:
    """Return the cells of an experiment, then those of its transfer attacks: the networks they are
    attacked from are trained before."""
    plan = get_plan(experiment, options.scale)
    return [
        *plan_cells(plan, options.seeds),
        *transfer_cells(plan, options.runs.absolute(), options.seeds),
    ]


def train_and_attack(names: Sequence[str], options: Options, **settings: Any) -> list[Summary]:
    """Train and evaluate the cells of experiments as far as that is not done: first without
    transfer attacks, then these. `settings` and errors are those of `run_cells`."""
    plans = [get_plan(one, options.scale) for one in map(get_experiment, names) if one.plans]
    networks = [cell for plan in plans for cell in plan_cells(plan, options.seeds)]
    runs = options.runs.absolute()
    attacked = [cell for plan in plans for cell in transfer_cells(plan, runs, options.seeds)]
    summaries = []
    for cells in (networks, attacked):
        if cells:
            summaries.append(run_cells(cells, runs, **settings))
            if summaries[-1].failed:
                break  # a network that transfer attacks need may be missing
    return summaries


def failures(summaries: Sequence[Summary]) -> dict[str, str]:
    """Return why cells failed, by their name."""
    return {name: reason for one in summaries for name, reason in one.failed.items()}


def write_tables(name: str, options: Options) -> tuple[Path, list[dict[str, Any]]]:
    """Write the result of an experiment from the cells that are stored, and return the path of its
    table and the claims with their verdicts. A figure of R is drawn, and has no claims.

    Raises InputError if no cell is stored."""
    experiment = get_experiment(name)
    if experiment.is_drawn_by_r:
        return draw_figure(name, options.out), []
    cells = all_cells(experiment, options)
    rows = as_stored([row for cell in cells for row in _stored_rows(experiment, cell, options)])
    if not rows:
        raise InputError(f"no cell of {name} is stored in {options.runs}: train them first")
    by_name = {cell.name: cell for cell in cells}
    known = dict.fromkeys(row.cell for row in rows)
    described = {name: describe_cell(by_name[name], options.runs) for name in known}
    description = _describe(experiment, cells, rows, described, options)
    path = write_result(
        options.out,
        f"{name}-{options.scale}",
        rows,
        description,
        described,
        convergence_curves(cells, options.runs),
        options.compress,
    )
    return path, description["claims"]


def _stored_rows(experiment: Experiment, cell: Cell, options: Options) -> list[Row]:
    if not progress_of(cell, options.runs).trained:
        return []
    rows = rows_of_cell(experiment.name, options.scale, cell, options.runs)
    if not _is_transfer(cell):
        return rows
    return [
        replace(row, source=row.source or row.method) for row in rows if row.attack != "natural"
    ]


def _is_transfer(cell: Cell) -> bool:
    return any("source" in evaluation for evaluation in cell.evaluations)


def _describe(
    experiment: Experiment,
    cells: Sequence[Cell],
    rows: Sequence[Row],
    described: dict[str, dict[str, Any]],
    options: Options,
) -> dict[str, Any]:
    """The content of the JSON file."""
    paper, plan = experiment.plans["paper"], get_plan(experiment, options.scale)
    missing = [cell.name for cell in cells if not progress_of(cell, options.runs).is_done]
    once = {row.cell: row.seconds_training for row in rows}
    here = provenance()
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        "place": experiment.place,
        "scale": options.scale,
        "command": _command(experiment.name, options),
        "provenance": {key: here[key] for key in KEPT_PROVENANCE},
        "data": _data(described),
        "networks": len(once),
        "missing": sorted(set(missing)),
        "seconds": {
            "training": round(sum(once.values()), 1),
            "attacks": round(sum(one["seconds_attacks"] for one in described.values()), 1),
        },
        "shortened": [] if options.scale == "paper" else shortened(paper, plan, options.seeds),
        "claims": judge(experiment.name, rows, decide=options.scale != "smoke"),
    }


def _command(name: str, options: Options) -> str:
    words = ["python", "-m", "sense.reproduce", name, "--scale", options.scale]
    if options.seeds is not None:
        words += ["--seeds", str(options.seeds)]
    return shlex.join(words)


def _data(described: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {one["data"]: one["data_sha256"] for one in described.values()}


def describe_cell(cell: Cell, runs: Path) -> dict[str, Any]:
    """Return where the network of a cell comes from: the command that trains it, commit, time,
    versions, machine, data, weights and seconds."""
    folder = runs / cell.name
    _, description = read_run(folder)
    contents = [read_evaluation(place) for place in evaluation_folders(folder)]
    return {
        "command": shlex.join(["python", *train_command(cell, Path(cell.name), {})]),
        **{key: description["provenance"].get(key) for key in KEPT_PROVENANCE},
        "data": description["data"]["name"],
        "data_sha256": description["data"]["sha256"],
        "weights_sha256": contents[0]["target"]["weights_sha256"] if contents else None,
        "evaluated": [
            {key: one["provenance"].get(key) for key in ("commit", "time")} for one in contents
        ],
        "seconds_training": round(training_time(folder), 1),
        "seconds_attacks": round(attack_time(folder), 1),
    }
