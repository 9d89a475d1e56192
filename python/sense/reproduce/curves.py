"""The curves of figures 8 and 9, thinned to a few steps: the loss of each image and the accuracy of
each restart, for each seed."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..csv_text import csv_text
from ..evaluation.curves import CONVERGENCE, CONVERGENCE_ACCURACY
from ..run_folder import RunFolder
from ..sweep import Cell
from ..sweep.state import stored_evaluation

PER_DOUBLING = 3  # steps kept in each doubling, beside the first ones


def convergence_curves(cells: Sequence[Cell], runs: Path) -> dict[str, str]:
    """Return the CSV texts "loss" (seed, image, step, loss) and "accuracy" (seed, restart, step, k,
    n, lower, upper) of the cells whose PGD was traced; nothing if there is none."""
    traced = [found for cell in cells if (found := _traced(cell, runs)) is not None]
    if not traced:
        return {}
    return {
        "loss": _thin(traced, CONVERGENCE, ("image", "step", "loss")),
        "accuracy": _thin(
            traced, CONVERGENCE_ACCURACY, ("restart", "step", "k", "n", "lower", "upper")
        ),
    }


@dataclass(frozen=True)
class _Traced:
    """The seed of a network, the folder of its convergence, and the steps that are kept."""

    seed: int
    folder: Path
    kept: set[int]


def _traced(cell: Cell, runs: Path) -> _Traced | None:
    """The first convergence of a cell that is stored."""
    for settings in cell.settings():
        if settings.convergence is not None:
            folder = stored_evaluation(settings, runs / cell.name)
            if folder is not None:
                return _Traced(cell.config.seed, folder, set(thinned(settings.steps)))
    return None


def thinned(steps: int) -> list[int]:
    """Return the steps that are kept: the first ones, then a few in each doubling, and the last."""
    kept, step = {0, steps}, 1.0
    while step < steps:
        kept.add(round(step))
        step *= 2 ** (1 / PER_DOUBLING)
    return sorted(kept)


def _thin(traced: Sequence[_Traced], name: str, columns: Sequence[str]) -> str:
    return csv_text(
        ("seed", *columns),
        (
            [one.seed, *(_short(line[column]) for column in columns)]
            for one in traced
            for line in csv.DictReader(io.StringIO(RunFolder(one.folder).text(name)))
            if int(line["step"]) in one.kept
        ),
    )


def _short(text: str) -> str:
    return text if text.isdigit() else f"{float(text):.4g}"
