"""The accuracies of all cells of a sweep as one tidy table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.options import Config, option_types
from ..csv_text import csv_text
from ..errors import InputError
from ..evaluation.summary import WORST, read_evaluation
from ..files import write_atomically
from ..run_folder import RunFolder
from ..runs import CONFIG, read_run
from .cells import Cell, training_options
from .state import evaluation_folders

FIRST = ("method", "seed")  # options that always have a column
COLUMNS = {"eps": "training_eps"}  # of options whose name is that of a column of the attack
WORST_LABEL = "all attacks together"


def accuracies(out: Path | str, cells: Sequence[Cell] | None = None) -> list[dict[str, Any]]:
    """Return the accuracies of the runs in a folder, a row per run and attack.

    Parameters
    ----------
    out
        The folder of a sweep, or any folder with run folders.
    cells
        Only these cells. Default: all runs in the folder.

    Returns
    -------
    Rows with the same columns: `cell`, the name of the run's folder; the method, the options that
    differ between the runs (None where the method does not use one; the radius of the training is
    `training_eps`) and the seed; `evaluation`, the folder inside the run's, "" for the run's own;
    `attack`, `attack_label` and its `eps`; `k` of the `n` test images are correct, with `accuracy`
    = k / n and Wilson's 95 % interval from `lower` to `upper`. Runs without an evaluation have no
    rows.
    """
    out = Path(out)
    if not out.is_dir():
        raise InputError(f"no folder {out}: pass the folder of a sweep")
    names = [cell.name for cell in cells] if cells is not None else _runs(out)
    configs = {
        name: read_run(out / name)[0]
        for name in names
        if (out / name).is_dir() and RunFolder(out / name).has(CONFIG)
    }
    options = {name: training_options(config) for name, config in configs.items()}
    varying = _varying(configs, options)
    return [
        {
            "cell": name,
            "method": own["method"],
            **{COLUMNS.get(option, option): own.get(option) for option in varying},
            "seed": own["seed"],
            **row,
        }
        for name, own in options.items()
        for row in _rows(out / name)
    ]


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as a CSV file. Raises InputError if there are none."""
    if not rows:
        raise InputError(
            "there is no evaluation yet: add [evaluation] to the grid, and run the sweep"
        )
    write_atomically(path, csv_text(list(rows[0]), [list(row.values()) for row in rows]))


def _runs(out: Path) -> list[str]:
    return sorted(path.parent.name for path in out.glob(f"*/{CONFIG}"))


def _varying(configs: Mapping[str, Config], options: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the options with more than one value, in the order of `Config`. The default that each
    method has for itself is one value. `options` are the `training_options` of each run."""
    found = []
    for option in option_types():
        using = [run for run, own in options.items() if option in own]
        values = {repr(options[run][option]) for run in using}
        several = option not in FIRST and len(values) > 1
        if several and not all(_is_default(configs[run], option) for run in using):
            found.append(option)
    return found


def _is_default(config: Config, name: str) -> bool:
    """Whether the option has the value that is used if it is not set."""
    if getattr(Config, name) is not None:
        return False
    unset: dict[str, Any] = {name: None}
    return replace(config, **unset).resolved() == config.resolved()


def _rows(run: Path) -> list[dict[str, Any]]:
    rows = []
    for folder in evaluation_folders(run):
        content = read_evaluation(folder)
        for attack, entry in content["accuracy"].items():
            described = content["attacks"].get(attack, {})
            rows.append(
                {
                    "evaluation": "" if folder == run else folder.name,
                    "attack": attack,
                    "attack_label": WORST_LABEL if attack == WORST else described.get("label"),
                    "eps": described.get("eps"),
                    "k": entry["k"],
                    "n": entry["n"],
                    "accuracy": entry["k"] / entry["n"],
                    "lower": entry["lower"],
                    "upper": entry["upper"],
                }
            )
    return rows
