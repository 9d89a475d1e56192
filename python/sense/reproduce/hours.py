"""How many hours the cells of an experiment take on one core: measured where a run is stored, else
computed from passes through the network.

A pass is one forward and backward pass of one image, which is timed. The number of passes counts
every step of every attack on every image, so the time is an upper bound: SENSE-AT leaves images
out, and no attack goes on with an image that it has misclassified.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from ..config import Config
from ..evaluation.settings import Settings
from ..evaluation.summary import read_evaluation
from ..models import build_for_weights
from ..progress import duration
from ..runs import read_metrics
from ..sweep import Cell
from ..sweep.state import evaluation_folders, progress_of

SHAPES = {"cifar10": (3, 32, 32)}
MNIST_SHAPE = (1, 28, 28)
SIZES = {"mnist-sample": (10_000, 2_000), "mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}
CLASSES = 10
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
    is_measured
        Whether the training was timed, and not computed.
    done
        Whether nothing is left to do.
    """

    name: str
    training: float
    attacks: float
    is_measured: bool
    done: bool

    def __str__(self) -> str:
        how = "measured" if self.is_measured else "at most"
        state = ", done" if self.done else ""
        return (
            f"{self.name}: {how} {duration(self.training)} of training and "
            f"{duration(self.attacks)} of attacks{state}"
        )


def estimate_cells(cells: Sequence[Cell], runs: Path) -> list[Estimate]:
    """Return the time of each cell, from its run in the folder or from its passes."""
    timed: dict[tuple[str, str], float] = {}
    estimates = []
    for cell in cells:
        config, progress = cell.config, progress_of(cell, runs)
        key = (config.model, config.dataset)
        if not progress.is_done and key not in timed:
            timed[key] = seconds_per_pass(config)
        a_pass = timed.get(key, 0.0)
        folder = runs / cell.name
        training = (
            sum(line["seconds"] for line in read_metrics(folder))
            if progress.trained
            else a_pass * training_passes(config)
        )
        attacks = (
            _measured_attacks(folder)
            if progress.is_done
            else a_pass * sum(attack_passes(one, config) for one in cell.settings())
        )
        estimates.append(Estimate(cell.name, training, attacks, progress.trained, progress.is_done))
    return estimates


def _measured_attacks(folder: Path) -> float:
    contents = map(read_evaluation, evaluation_folders(folder))
    seconds = [entry["seconds"] for one in contents for entry in one["attacks"].values()]
    return float(sum(one or 0.0 for one in seconds))


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
