"""How many hours the cells of an experiment take on one core: measured where a run, or
one like it, is stored, else computed from passes through the network.

A pass is one forward and backward pass of one image, which is timed. The number of passes counts
every step of every attack on every image, so the time is an upper bound: SENSE-AT leaves images
out, and an attack ends for an image that is misclassified.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Literal

import torch
import torch.nn.functional as F

from ..config import Config
from ..errors import InputError
from ..evaluation.settings import Settings
from ..evaluation.summary import read_evaluation
from ..models import build_for_weights
from ..progress import duration
from ..runs import read_metrics, read_run
from ..sweep import Cell
from ..sweep.state import evaluation_folders, progress_of
from .listing import stored_folder
from .results import read_cells

SHAPES = {"cifar10": (3, 32, 32)}
MNIST_SHAPE = (1, 28, 28)
SIZES = {"mnist-sample": (10_000, 2_000), "mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}
CLASSES = 10
How = Literal["measured", "stored", "about", "at most"]
NOT_IN_KIND = ("c", "seed", "lr", "epochs", "milestones", "warmup")
TIMED_IMAGES, TIMED_SECONDS = 16, 0.5
# Passes for an image: AutoAttack's APGD-CE and, for each of 9 targets, APGD and FAB with 100 steps
# each (FAB passes twice in a step), then 5,000 forward passes of Square. DeepFool: 50 steps of a
# gradient for each class. MMA: its search for the margin, and the update.
AUTOATTACK = 100 + 9 * 100 + 9 * 200 + 5000 // 3
DEEPFOOL = 50 * CLASSES
FURTHER_PASSES = {"nt": 1, "r-at": 1, "sense": 1}
OTHER_METHODS = 3  # passes for the update beside those of the attack: at most


@dataclass(frozen=True)
class Estimate:
    """Seconds of a cell.

    Attributes
    ----------
    name
        Of the cell.
    training, attacks
        Seconds.
    how
        Where they come from: a run in the folder, the stored results of the package, about those
        of a run that is like it, or computed.
    done
        Whether nothing is left to do.
    unreadable
        Why the run in the folder cannot be read, if there is one that cannot.
    """

    name: str
    training: float
    attacks: float
    how: How
    done: bool
    unreadable: str | None = None

    def __str__(self) -> str:
        state = ", done" if self.done else ""
        if self.unreadable is not None:
            state = f"; its run cannot be read: {self.unreadable}"
        return (
            f"{self.name}: {self.how} {duration(self.training)} of training and "
            f"{duration(self.attacks)} of attacks{state}"
        )


def estimate_cells(cells: Sequence[Cell], runs: Path) -> list[Estimate]:
    """Return the time of each cell: that of its run in the folder, that in the stored results, that
    of the runs in the folder that differ in c, seed and the like, or that of its passes."""
    measured: list[_Measured | None] = []
    unreadable: dict[str, str] = {}
    for cell in cells:
        try:
            measured.append(_measured(cell, runs))
        except InputError as error:
            measured.append(None)
            unreadable[cell.name] = str(error)
    alike: dict[str, list[_Measured]] = {}
    for cell, own in zip(cells, measured, strict=True):
        if own is not None:
            alike.setdefault(_kind(cell), []).append(own)
    stored = stored_times()
    timed: dict[tuple[str, str], float] = {}
    found = [
        Estimate(cell.name, own.training, own.attacks, "measured", True)
        if own is not None
        else _estimate(cell, alike.get(_kind(cell), ()), stored, timed)
        for cell, own in zip(cells, measured, strict=True)
    ]
    return [replace(one, unreadable=unreadable.get(one.name)) for one in found]


@dataclass(frozen=True)
class _Measured:
    """The seconds of a stored run, and the number of its epochs."""

    training: float
    attacks: float
    epochs: int


def _measured(cell: Cell, runs: Path) -> _Measured | None:
    """The run of a cell, None if it is not done."""
    if not progress_of(cell, runs).is_done:
        return None
    folder = runs / cell.name
    return _Measured(training_time(folder), attack_time(folder), _epochs(cell))


def _epochs(cell: Cell) -> int:
    return cell.config.pretrain + cell.config.epochs


def _estimate(
    cell: Cell,
    alike: Sequence[_Measured],
    stored: Mapping[str, tuple[float, float]],
    timed: dict[tuple[str, str], float],
) -> Estimate:
    """The time of a cell that is not done."""
    if cell.name in stored:
        return Estimate(cell.name, *stored[cell.name], "stored", False)
    if alike:
        training = mean(run.training * _epochs(cell) / run.epochs for run in alike)
        attacks = mean(run.attacks for run in alike)
        return Estimate(cell.name, training, attacks, "about", False)
    key = (cell.config.model, cell.config.dataset)
    if key not in timed:
        timed[key] = seconds_per_pass(cell.config)
    attacked = sum(attack_passes(settings, cell.config) for settings in cell.settings())
    computed = (timed[key] * training_passes(cell.config), timed[key] * attacked)
    return Estimate(cell.name, *computed, "at most", False)


def _kind(cell: Cell) -> str:
    """What cells of like times have in common: all but c, seed, and the options of learning."""
    training = {name: value for name, value in cell.training.items() if name not in NOT_IN_KIND}
    return repr((training, cell.evaluations))


def stored_times() -> dict[str, tuple[float, float]]:
    """Return the seconds of training and of attacks of the networks in the stored results of the
    package, by name of the cell."""
    folder, times = stored_folder(), {}
    for path in sorted(folder.glob("*.json")) if folder is not None else []:
        for cell, one in read_cells(path.parent, path.stem).items():
            times[cell] = (one["seconds_training"], one["seconds_attacks"])
    return times


def training_time(folder: Path) -> float:
    """Return the seconds of all epochs of a run, on one core: those of each thread count."""
    _, description = read_run(folder)
    seconds = sum(line["seconds"] for line in read_metrics(folder))
    return float(seconds * description["provenance"]["threads"])


def attack_time(folder: Path) -> float:
    """Return the seconds of all attacks of the evaluations of a run, on one core."""
    contents = map(read_evaluation, evaluation_folders(folder))
    return float(
        sum(
            (entry["seconds"] or 0.0) * one["provenance"]["threads"]
            for one in contents
            for entry in one["attacks"].values()
        )
    )


def seconds_per_pass(config: Config) -> float:
    """Time passes of some images forward and backward, in seconds of a core: what else runs on the
    machine does not count."""
    shape = SHAPES.get(config.dataset, MNIST_SHAPE)
    model = build_for_weights(config.model, shape, CLASSES)
    x = torch.full((TIMED_IMAGES, *shape), 0.5, requires_grad=True)
    y = torch.zeros(TIMED_IMAGES, dtype=torch.long)

    def passes() -> None:
        torch.autograd.grad(F.cross_entropy(model(x), y), x)

    passes()  # the first one takes longer
    began, n = time.process_time(), 0
    while n == 0 or time.process_time() < began + TIMED_SECONDS:
        passes()
        n += 1
    return (time.process_time() - began) / (n * TIMED_IMAGES)


def training_passes(config: Config) -> int:
    """Return the largest number of passes of a training: K steps and the update for each image."""
    images = config.train_size or SIZES[config.dataset][0]
    if config.method == "nt":
        return images * (config.pretrain + config.epochs)
    update = FURTHER_PASSES.get(config.method, OTHER_METHODS)
    return images * (config.pretrain + config.epochs * (config.steps + update))


def attack_passes(settings: Settings, config: Config) -> int:
    """Return the largest number of passes of an evaluation."""
    images = settings.n or SIZES[config.dataset][1]
    pgd = settings.steps * settings.restarts
    passes = {"natural": 1, "fgsm": 1, "deepfool": DEEPFOOL, "autoattack": AUTOATTACK}
    traced = min(settings.convergence or 0, images)
    return images * sum(passes.get(name, pgd) for name in settings.attacks) + traced * pgd
