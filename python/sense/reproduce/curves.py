"""The curves of figures 8 and 9, thinned to a few steps: the loss of each image and the accuracy of
each restart."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ..csv_text import csv_text
from ..evaluation.curves import CONVERGENCE, CONVERGENCE_ACCURACY
from ..run_folder import RunFolder
from ..sweep import Cell
from ..sweep.state import stored_evaluation

PER_DOUBLING = 3  # steps kept in each doubling, beside the first ones


def convergence_curves(cells: Sequence[Cell], runs: Path) -> dict[str, str]:
    """Return the CSV texts "loss" (image, step, loss) and "accuracy" (restart, step, k, n, lower,
    upper) of the first cell whose PGD was traced; nothing if there is none."""
    for cell in cells:
        for settings in cell.settings():
            if settings.convergence is None:
                continue
            folder = stored_evaluation(settings, runs / cell.name)
            if folder is not None:
                kept = set(thinned(settings.steps))
                return {
                    "loss": _thin(folder, CONVERGENCE, ("image", "step", "loss"), kept),
                    "accuracy": _thin(
                        folder,
                        CONVERGENCE_ACCURACY,
                        ("restart", "step", "k", "n", "lower", "upper"),
                        kept,
                    ),
                }
    return {}


def thinned(steps: int) -> list[int]:
    """Return the steps that are kept: the first ones, then a few in each doubling, and the last."""
    kept, step = {0, steps}, 1.0
    while step < steps:
        kept.add(round(step))
        step *= 2 ** (1 / PER_DOUBLING)
    return sorted(kept)


def _thin(folder: Path, name: str, columns: Sequence[str], kept: set[int]) -> str:
    lines = csv.DictReader(io.StringIO(RunFolder(folder).text(name)))
    shown = (line for line in lines if int(line["step"]) in kept)
    return csv_text(columns, ([_short(line[column]) for column in columns] for line in shown))


def _short(text: str) -> str:
    return text if text.isdigit() else f"{float(text):.4g}"
