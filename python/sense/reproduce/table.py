"""The tidy table of an experiment: a row for each cell and attack."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ..collapse import is_one_class
from ..config.options import uses
from ..csv_text import csv_text
from ..errors import InputError
from ..evaluation.curves import CONVERGENCE_ACCURACY
from ..evaluation.outcomes import Outcome, read_outcomes
from ..evaluation.settings import Settings
from ..evaluation.summary import read_evaluation
from ..run_folder import RunFolder
from ..runs import read_metrics, read_run
from ..statistics import wilson
from ..sweep import Cell
from ..sweep.state import stored_evaluation

RESTARTS_SHOWN = (1, 5, 20)  # of the convergence, as in figure 9


@dataclass(frozen=True)
class Row:
    """One network under one attack. None: does not apply, or is not known.

    Attributes
    ----------
    cell
        Name of the run's folder.
    c, boundary, start, stage_test
        Options of SENSE-AT; `start` is "natural" (the image) or "random" (a point of the ball).
    train_size
        Number of training images.
    attack, attack_label
        Its name and a readable one, such as "PGD-100 x 5".
    source
        Method of the network that a transfer attack was made on.
    k, n, accuracy, lower, upper
        k of n images are classified correctly; Wilson's 95 % interval.
    collapsed
        Whether the network predicts one class for nearly all images, without an attack.
    stage_c
        Share of the training images that ended the last epoch in stage C.
    stage_b_gap
        Mean distance of the losses of stage B below log(1/c) in the last epoch.
    seconds_training
        Time of training, on the machine of the run.
    correct
        "1" or "0" for each image in the order of the test set; not a column of the CSV.
    images
        Which images these are, as text: equal for rows that can be compared in pairs.
    """

    experiment: str
    scale: str
    cell: str
    method: str
    c: float | None
    boundary: str | None
    start: str | None
    stage_test: str | None
    model: str
    lr: float
    epochs: int
    batch_size: int
    train_size: int
    seed: int
    attack: str
    attack_label: str
    source: str | None
    k: int
    n: int
    accuracy: float
    lower: float
    upper: float
    collapsed: bool
    stage_c: float | None
    stage_b_gap: float | None
    seconds_training: float
    correct: str = field(default="", compare=False, repr=False)
    images: str = field(default="", compare=False, repr=False)


NOT_COLUMNS = ("correct", "images")
# By name of the column, the types of its values.
_TYPES = {
    name: get_args(hint) or (hint,)
    for name, hint in get_type_hints(Row).items()
    if name not in NOT_COLUMNS
}
COLUMNS = tuple(_TYPES)
DIGITS = {"accuracy": 4, "lower": 4, "upper": 4, "stage_c": 4, "stage_b_gap": 4}


def rows_of_cell(experiment: str, scale: str, cell: Cell, runs: Path) -> list[Row]:
    """Return the rows of a cell's evaluations that are complete, each attack once."""
    folder, rows = runs / cell.name, {}
    common = _training_columns(cell, folder)
    for settings in cell.settings():
        place = stored_evaluation(settings, folder)
        if place is None:
            continue
        for row in _rows_of_evaluation(place, settings):
            key = (row["attack_label"], row["source"])
            if key[0] != "natural" or key not in rows:
                rows[key] = {**row, "collapsed": _has_collapsed(place)}
    start: dict[str, Any] = {"experiment": experiment, "scale": scale, "cell": cell.name}
    return [Row(**start, **common, **row) for row in rows.values()]


def _training_columns(cell: Cell, folder: Path) -> dict[str, Any]:
    config, description = read_run(folder)
    config = config.resolved()
    metrics = read_metrics(folder)
    last = metrics[-1]
    size = description["data"]["train"]
    sense = uses(config.method, "c")
    return {
        "method": config.method,
        "c": config.c if sense else None,
        "boundary": config.boundary if sense else None,
        "start": ("random" if config.random_start else "natural") if sense else None,
        "stage_test": config.stage_test if sense else None,
        "model": config.model,
        "lr": config.lr,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "train_size": size if config.train_size is None else config.train_size,
        "seed": config.seed,
        "stage_c": _share_of_stage_c(last),
        "stage_b_gap": last.get("stage_b_gap"),
        "seconds_training": round(sum(line["seconds"] for line in metrics), 1),
    }


def _share_of_stage_c(metrics: dict[str, Any]) -> float | None:
    if "stage_c" not in metrics:
        return None
    return float(metrics["stage_c"] / max(1, sum(metrics[f"stage_{stage}"] for stage in "abc")))


def _has_collapsed(folder: Path) -> bool:
    predictions = [row.prediction for row in read_outcomes(folder) if row.attack == "natural"]
    most = max(predictions.count(label) for label in set(predictions))
    return is_one_class(most, len(predictions))


def _rows_of_evaluation(folder: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    content = read_evaluation(folder)
    by_attack: dict[str, list[Outcome]] = {}
    for outcome in read_outcomes(folder):
        by_attack.setdefault(outcome.attack, []).append(outcome)
    source = _method_of(settings.source)
    for attack in settings.attacks:
        outcomes = by_attack[attack]
        yield {
            "attack": attack,
            "attack_label": content["attacks"][attack]["label"],
            "source": source if attack == "transfer" else None,
            **_accuracy(sum(outcome.correct for outcome in outcomes), len(outcomes)),
            "correct": "".join(str(outcome.correct) for outcome in outcomes),
            "images": _images(content),
        }
    if settings.convergence is not None:
        yield from _rows_of_convergence(folder, settings)


def _method_of(run: Path | None) -> str | None:
    return None if run is None else str(read_run(run)[0].method)


def _images(content: dict[str, Any]) -> str:
    data = content["data"]
    return f"{data['sha256']} {data['n']} {data['draw']}"


def _rows_of_convergence(folder: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    """The accuracy after the last step of some restarts, and after half the steps of the first."""
    last, half = settings.steps, settings.steps // 2
    shown = {(1, half), *((restart, last) for restart in (*RESTARTS_SHOWN, settings.restarts))}
    text = RunFolder(folder).text(CONVERGENCE_ACCURACY)
    for line in csv.DictReader(io.StringIO(text)):
        restart, step = int(line["restart"]), int(line["step"])
        if (restart, step) in shown:
            yield {
                "attack": "pgd",
                "attack_label": f"PGD-{step} x {restart}",
                "source": None,
                **_accuracy(int(line["k"]), int(line["n"])),
            }


def _accuracy(k: int, n: int) -> dict[str, float]:
    found = wilson(k, n)
    return {
        "k": k,
        "n": n,
        "accuracy": found.estimate,
        "lower": found.lower,
        "upper": found.upper,
    }


def table_text(rows: Sequence[Row]) -> str:
    """Return the CSV: empty for None, TRUE and FALSE as R has them."""
    return csv_text(
        COLUMNS, ([_cell_text(name, getattr(row, name)) for name in COLUMNS] for row in rows)
    )


def _cell_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    return f"{round(value, DIGITS[name]):g}" if name in DIGITS else str(value)


def read_table(text: str, source: Path | str) -> list[Row]:
    """Return the rows of a CSV. Raises InputError for other columns or values."""
    lines = csv.DictReader(io.StringIO(text))
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise InputError(f"{source} must have the columns {', '.join(COLUMNS)}")
    return [_row(line, source) for line in lines]


def _row(line: dict[str, str], source: Path | str) -> Row:
    values: dict[str, Any] = {}
    for name, kinds in _TYPES.items():
        text = line[name]
        if text == "" and type(None) in kinds:
            values[name] = None
        elif bool in kinds:
            values[name] = text == "TRUE"
        else:
            kind = next((kind for kind in (int, float) if kind in kinds), str)
            try:
                values[name] = kind(text)
            except (TypeError, ValueError):
                raise InputError(f"{source} is damaged at {name} = {text!r}") from None
    return Row(**values)
