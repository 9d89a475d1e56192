"""The state of a cell, read from its folder and its log."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import WEIGHTS
from ..config import Config
from ..errors import InputError
from ..evaluation.present_weights import is_of_present_weights
from ..evaluation.runner import build_attacks
from ..evaluation.settings import Settings
from ..evaluation.summary import (
    EVALUATION,
    MUST_MATCH,
    NOT_OPTIONS,
    NUMBERED_FOLDER,
    read_evaluation,
)
from ..evaluation.targets import open_source
from ..folder_lock import is_locked
from ..manifest import read_manifest
from ..run_folder import RunFolder
from ..runs import CONFIG, METRICS, read_metrics, read_run, with_choices_of
from .cells import Cell, training_options
from .log import LOGS, last_failure, log_path


class State(str, Enum):
    """How far a cell is."""

    MISSING = "not begun"
    BEGUN = "begun"
    TRAINED = "trained"
    EVALUATED = "evaluated"
    FAILED = "failed"
    IN_USE = "in use"


@dataclass(frozen=True)
class Progress:
    """What is stored of a cell.

    Attributes
    ----------
    begun, trained
        Whether there is a run, and whether its training is complete.
    epochs, of
        Completed epochs of training, with those of pre-training, and all.
    missing
        Positions of the evaluations that are not stored yet.
    """

    begun: bool
    trained: bool
    epochs: int
    of: int
    missing: tuple[int, ...]

    @classmethod
    def unknown(cls, cell: Cell) -> "Progress":
        """That of a cell whose folder cannot be read."""
        return cls(False, False, 0, cell.config.pretrain + cell.config.epochs, ())

    @property
    def is_done(self) -> bool:
        """Whether the training is complete, and all evaluations are stored."""
        return self.trained and not self.missing


@dataclass(frozen=True)
class Status:
    """The state of a cell.

    Attributes
    ----------
    state
        FAILED if the last try failed and nothing was done since; IN_USE if a process works on it
        at this moment.
    progress
        What is stored.
    failure
        Why the last try failed.
    """

    state: State
    progress: Progress
    failure: str | None = None


def progress_of(cell: Cell, out: Path) -> Progress:
    """Return what is stored of a cell in the folder of its sweep. Raises InputError if its folder
    cannot be read."""
    folder, total = out / cell.name, cell.config.pretrain + cell.config.epochs
    begun = _is_begun(folder)
    if begun:
        read_run(folder)  # checks it
    epochs = len(read_metrics(folder)) if begun else 0
    trained = epochs == total and _is_published(folder)
    missing = [
        i
        for i, settings in enumerate(cell.settings())
        if not trained or stored_evaluation(settings, folder) is None
    ]
    return Progress(begun, trained, epochs, total, tuple(missing))


def status_of(cell: Cell, out: Path) -> Status:
    """Return the state of a cell in the folder of its sweep. If its folder cannot be read, it has
    failed for that reason."""
    try:
        progress = progress_of(cell, out)
    except InputError as error:
        return Status(State.FAILED, Progress.unknown(cell), str(error))
    if progress.is_done:
        return Status(State.EVALUATED if cell.evaluations else State.TRAINED, progress)
    if is_in_use(cell, out):
        return Status(State.IN_USE, progress)
    failure = last_failure(log_path(out, cell.name))
    if failure is not None:
        return Status(State.FAILED, progress, failure)
    if progress.trained:
        return Status(State.TRAINED, progress)
    return Status(State.BEGUN if progress.begun else State.MISSING, progress)


def is_in_use(cell: Cell, out: Path) -> bool:
    """Return whether a process works on the cell: one of a sweep, or any that has the run."""
    return is_locked(out / LOGS, claim_name(cell)) or is_locked(out / cell.name)


def claim_name(cell: Cell) -> str:
    """Return the name of the lock, beside the log, of the process that works on the cell."""
    return f".{cell.name}.lock"


def check_same_training(cell: Cell, folder: Path) -> None:
    """Raise InputError if the folder holds a run with other options than the cell's."""
    if not _is_begun(folder):
        return
    begun, _ = read_run(folder)
    other = other_options(begun, cell)
    if other:
        raise InputError(
            f"{folder} holds a run with other options than those of its name: {', '.join(other)}. "
            "Remove it, or choose another --out"
        )


def other_options(begun: Config, cell: Cell) -> list[str]:
    """Return in words the options of training in which a run differs from a cell."""
    before, now = training_options(begun), training_options(with_choices_of(begun, cell.config))
    return [
        f"{name} ({before.get(name)}, not {now.get(name)})"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def stored_evaluation(settings: Settings, run: Path) -> Path | None:
    """Return the folder with a complete evaluation of these options: the run's, or evaluation-2 ...
    inside it, where sense.evaluate puts another. None if there is none."""
    if settings.source is not None and not _is_published(Path(settings.source)):
        return None  # the network that it is attacked from is not trained yet
    wanted = _wanted(settings, run)
    for folder in evaluation_folders(run):
        if _holds(read_evaluation(folder), settings, wanted):
            return folder
    return None


def evaluation_folders(run: Path) -> Iterator[Path]:
    """Yield the folders of a run that hold an evaluation of the weights that it has now."""
    for folder in chain([run], (run / NUMBERED_FOLDER.format(i) for i in count(2))):
        if folder.is_dir() and RunFolder(folder).has(EVALUATION):
            if is_of_present_weights(read_evaluation(folder), run):
                yield folder
        elif folder != run:
            return


def is_outdated(run: Path) -> bool:
    """Whether the evaluation in the run's own folder, if there is one, is of weights that the run
    does not have any more."""
    has_one = RunFolder(run).has(EVALUATION)
    return has_one and not is_of_present_weights(read_evaluation(run), run)


def _wanted(settings: Settings, run: Path) -> dict[str, dict[str, Any]]:
    """Return the options of each attack as evaluation.json has them."""
    _, description = read_run(run)
    classes = len(description["data"]["classes"])
    source = open_source(settings, torch.device("cpu"))
    attacks = build_attacks(settings, source, classes=classes)
    return {attack.name: attack.plain() for attack in attacks}


def _holds(stored: dict[str, Any], settings: Settings, wanted: dict[str, dict[str, Any]]) -> bool:
    """Whether a stored evaluation has all that is wanted, complete. Only complete attacks have
    an accuracy."""
    data, options = stored["data"], settings.plain()
    n = data["of"] if settings.n is None else settings.n
    if (data["n"], data["draw"]) != (n, settings.draw):
        return False
    if any(stored["options"][name] != options[name] for name in MUST_MATCH["options"]):
        return False
    if not {"natural", *wanted} <= stored["accuracy"].keys():
        return False
    for name, entry in wanted.items():
        before = stored["attacks"][name]
        names = (before.keys() | entry.keys()) - set(NOT_OPTIONS)
        if any(before.get(one) != entry.get(one) for one in names):
            return False
    if settings.diagnostics and stored["diagnostics"] is None:
        return False
    parts = {part: value for part, value in settings.plain_parts().items() if value is not None}
    return not parts or (
        stored["finished"] and all(stored[part] == value for part, value in parts.items())
    )


def _is_published(folder: Path) -> bool:
    """Whether the weights are those of the metrics. Both are written at once; if the process was
    killed then, resuming the run repairs it."""
    manifest = read_manifest(folder)
    return (
        manifest is not None
        and RunFolder(folder).has(WEIGHTS)
        and all(manifest.entries[name].settled for name in (METRICS, WEIGHTS))
    )


def _is_begun(folder: Path) -> bool:
    return folder.is_dir() and RunFolder(folder).has(CONFIG)
