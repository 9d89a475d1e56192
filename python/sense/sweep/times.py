"""How long the rest of a sweep takes, from the measured times of epochs and evaluations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import mean

from ..errors import InputError
from ..evaluation.summary import read_evaluation
from ..runs import read_metrics
from .cells import Cell
from .state import Progress, evaluation_folders, progress_of

NOT_IN_KIND = ("seed", "epochs", "pretrain", "milestones", "warmup", "lr")


@dataclass(frozen=True)
class _Measured:
    """What is stored of a cell, the mean seconds of its last epochs, and those of all its
    evaluations if they are complete."""

    progress: Progress
    epoch: float | None
    evaluation: float | None


class Times:
    """The measured times of the cells of a sweep.

    An epoch of a cell that has none yet takes as long as one of the cells that differ from it only
    in the seed and the like, or if there is none, as the mean of all. Times from other machines
    count as if they were from here.
    """

    def __init__(self, cells: Sequence[Cell], out: Path, workers: int | None) -> None:
        self.cells, self.out, self.workers = list(cells), out, workers
        self.total = len(self.cells)
        self._kinds = {cell.name: _kind(cell) for cell in self.cells}
        self._measured: dict[str, _Measured] = {}
        self.look_at_all()

    def look_at_all(self) -> None:
        """Read the times of the cells that are not done yet."""
        for cell in self.cells:
            found = self._measured.get(cell.name)
            if found is None or not found.progress.is_done:
                self.look(cell)

    def look(self, cell: Cell) -> None:
        """Read the times of a cell. One that cannot be read has none."""
        run = self.out / cell.name
        try:
            progress = progress_of(cell, self.out)
            epochs = read_metrics(run) if progress.begun else []
            recent = [line["seconds"] for line in epochs if line["phase"] == "train"][-3:]
            evaluation = _evaluation_seconds(run) if progress.is_done else None
        except InputError:
            self._measured[cell.name] = _Measured(Progress.unknown(cell), None, None)
            return
        epoch = mean(recent) if recent else None
        self._measured[cell.name] = _Measured(progress, epoch, evaluation)

    def done(self) -> int:
        """The number of cells that are done."""
        return sum(found.progress.is_done for found in self._measured.values())

    def epochs(self) -> int:
        """The epochs of all cells."""
        return sum(found.progress.of for found in self._measured.values())

    def completed(self) -> int:
        """The completed epochs of all cells."""
        return sum(found.progress.epochs for found in self._measured.values())

    def left(self) -> float | None:
        """Seconds that the rest takes, with all workers at work, or if their number is not known,
        with as many as there are cells that are begun. None before the first epoch of
        any cell, and, if evaluations are left, before the first of them is complete."""
        epochs = self._means(lambda found: found.epoch)
        evaluations = self._means(lambda found: found.evaluation)
        seconds = [
            _left(self._measured[name], epochs[kind], evaluations[kind])
            for name, kind in self._kinds.items()
        ]
        known = [one for one in seconds if one is not None]
        if len(known) < len(seconds):
            return None
        begun = sum(
            found.progress.begun and not found.progress.is_done for found in self._measured.values()
        )
        return max([sum(known) / (self.workers or begun or 1), *known])

    def _means(self, value: Callable[[_Measured], float | None]) -> dict[str, float | None]:
        """The mean of a time by the kind of cell; over all cells where no cell of the kind has
        one."""
        known: dict[str, list[float]] = {kind: [] for kind in self._kinds.values()}
        for name, kind in self._kinds.items():
            seconds = value(self._measured[name])
            if seconds is not None:
                known[kind].append(seconds)
        every = list(chain.from_iterable(known.values()))
        of_all = mean(every) if every else None
        return {kind: mean(group) if group else of_all for kind, group in known.items()}


def _left(found: _Measured, epoch: float | None, evaluation: float | None) -> float | None:
    """The seconds that a cell still takes, given those of cells of its kind. None if unknown."""
    progress, seconds = found.progress, 0.0
    if progress.epochs < progress.of:
        epoch = epoch if found.epoch is None else found.epoch
        if epoch is None:
            return None
        seconds += (progress.of - progress.epochs) * epoch
    if progress.missing:
        if evaluation is None:
            return None
        seconds += evaluation
    return seconds


def _kind(cell: Cell) -> str:
    return repr({k: v for k, v in cell.training.items() if k not in NOT_IN_KIND})


def _evaluation_seconds(run: Path) -> float | None:
    """The seconds of all attacks that are stored."""
    seconds = [
        entry["seconds"]
        for folder in evaluation_folders(run)
        for entry in read_evaluation(folder)["attacks"].values()
    ]
    return sum(one for one in seconds if one is not None) if seconds else None
