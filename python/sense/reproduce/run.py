"""Train what is missing, attack it, and write the tables: `reproduce`."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingFileError
from ..evaluation.summary import read_evaluation
from ..runs import provenance, read_run
from ..sweep import Cell, Summary, run_cells
from ..sweep.commands import train_command
from ..sweep.state import evaluation_folders, progress_of, status_of, stored_evaluation
from .claims import judge
from .curves import convergence_curves
from .experiment import Experiment
from .experiments import get_experiment, get_plan, plan_cells, transfer_cells
from .figures import draw_figure
from .hours import attack_time, training_time
from .kept import EVALUATIONS, KeptCell, kept_cells
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
    extend
        Whether networks of the result in `out` are kept as they are: `kept_cells`.
    """

    scale: str
    seeds: int | None
    runs: Path
    out: Path
    compress: bool = False
    extend: bool = False


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
    transfer attacks, then these, as far as the networks that they need did not fail. `settings` and
    errors are those of `run_cells`."""
    experiments = [one for one in map(get_experiment, names) if one.plans]
    cells = [cell for one in experiments for cell in cells_to_do(one, options)]
    networks = [cell for cell in cells if not _is_transfer(cell)]
    attacked = [cell for cell in cells if _is_transfer(cell)]
    runs = options.runs.absolute()
    summaries = [run_cells(networks, runs, **settings)] if networks else []
    attacked = _without(attacked, failures(summaries).keys())
    if attacked:
        summaries.append(run_cells(attacked, runs, **settings))
    return summaries


def cells_to_do(experiment: Experiment, options: Options) -> list[Cell]:
    """Return the cells of `all_cells` that are not kept from the result in `options.out`."""
    cells = all_cells(experiment, options)
    kept = _kept(experiment, cells, options)
    return [cell for cell in cells if cell.name not in kept]


def _kept(experiment: Experiment, cells: Sequence[Cell], options: Options) -> dict[str, KeptCell]:
    stem = f"{experiment.name}-{options.scale}"
    return kept_cells(cells, options.out, stem) if options.extend else {}


def _without(attacked: Sequence[Cell], failed: Collection[str]) -> list[Cell]:
    """Leave out networks that failed, and the attacks that are made on them."""

    def is_possible(evaluation: Mapping[str, Any]) -> bool:
        return "source" not in evaluation or Path(evaluation["source"]).name not in failed

    return [
        Cell(cell.recipe, cell.options, [one for one in cell.evaluations if is_possible(one)])
        for cell in attacked
        if cell.name not in failed
    ]


def failures(summaries: Sequence[Summary]) -> dict[str, str]:
    """Return why cells failed, by their name."""
    return {name: reason for one in summaries for name, reason in one.failed.items()}


@dataclass(frozen=True)
class Written:
    """A result that was written: the path of its table, the claims with their verdicts, and why
    cells could not be read, by their name. They are among the missing ones."""

    path: Path
    claims: list[dict[str, Any]]
    unreadable: dict[str, str]


def write_tables(name: str, options: Options) -> Written:
    """Write the result of an experiment from the cells that are stored. A figure of R is drawn, and
    has no claims.

    Raises MissingFileError if no cell is stored, with the reason if one cannot be read."""
    experiment = get_experiment(name)
    if experiment.is_drawn_by_r:
        return Written(draw_figure(name, options.out), [], {})
    cells = all_cells(experiment, options)
    kept = _kept(experiment, cells, options)
    found = _read_cells(experiment, cells, kept, options)
    rows = as_stored(found.rows)
    if not rows:
        reasons = "".join(f"; {name}: {reason}" for name, reason in found.unreadable.items())
        raise MissingFileError(
            f"no cell of {name} is stored in {options.runs}: train them first{reasons}"
        )
    readable = [cell for cell in cells if cell.name not in found.unreadable]
    to_do = [cell for cell in cells if cell.name not in kept]
    description = _describe(experiment, to_do, rows, found, options)
    path = write_result(
        options.out,
        f"{name}-{options.scale}",
        rows,
        description,
        found.described,
        convergence_curves(readable, options.runs),
        options.compress,
    )
    return Written(path, description["claims"], found.unreadable)


@dataclass(frozen=True)
class _Stored:
    """What is stored of cells: their rows, where their networks come from, by name, and why cells
    could not be read, by name."""

    rows: list[Row]
    described: dict[str, dict[str, Any]]
    unreadable: dict[str, str]


def _read_cells(
    experiment: Experiment, cells: Sequence[Cell], kept: Mapping[str, KeptCell], options: Options
) -> _Stored:
    """Read the cells. One that cannot be read does not stop the others."""
    found = _Stored([], {}, {})
    for cell in cells:
        if cell.name in kept:
            if cell.name not in found.described:
                found.rows.extend(kept[cell.name].rows)
                found.described[cell.name] = kept[cell.name].described
            continue
        try:
            rows = _stored_rows(experiment, cell, options)
            if rows and cell.name not in found.described:
                found.described[cell.name] = describe_cell(cell, options.runs)
        except InputError as error:
            found.unreadable[cell.name] = str(error)
        else:
            found.rows.extend(rows)
    return found


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
    to_do: Sequence[Cell],
    rows: Sequence[Row],
    found: _Stored,
    options: Options,
) -> dict[str, Any]:
    """The content of the JSON file. Of the cells `to_do`, those that are not done are missing."""
    paper, plan = experiment.plans["paper"], get_plan(experiment, options.scale)
    missing = {
        cell.name for cell in to_do if not status_of(cell, options.runs).progress.is_done
    } | found.unreadable.keys()
    described = found.described
    here = provenance()
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        "place": experiment.place,
        "scale": options.scale,
        "command": _command(experiment.name, options),
        "provenance": {key: here[key] for key in KEPT_PROVENANCE},
        "data": _data(described),
        "networks": len(described),
        "missing": sorted(missing),
        "seconds": {
            part: round(sum(one[f"seconds_{part}"] for one in described.values()), 1)
            for part in ("training", "attacks")
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
    versions, machine, data, weights, and seconds on one core."""
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
        EVALUATIONS: _stored_evaluations(cell, folder),
        "seconds_training": round(training_time(folder), 1),
        "seconds_attacks": round(attack_time(folder), 1),
    }


def _stored_evaluations(cell: Cell, folder: Path) -> list[dict[str, Any]]:
    """The options of the evaluations of a cell that are complete."""
    return [
        dict(options)
        for options, settings in zip(cell.evaluations, cell.settings(), strict=True)
        if stored_evaluation(settings, folder) is not None
    ]
