"""A network in training: what the loop and the callbacks work on, the order of its batches, and its
checkpoint."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoint import WEIGHTS, has_checkpoint, load_checkpoint, pack_weights, save_checkpoint
from .config import Config
from .data.loader import BatchLoader
from .distributed import ComputeStep, OneProcess
from .errors import NotFiniteError
from .model_card import remove_outdated_card
from .monitor import Monitor
from .networks import check_finite_weights
from .run_folder import RunFolder
from .runs import METRICS, metrics_text
from .stopping import Stop
from .training_state import TrainingState


@dataclass
class Training:
    """A network in training.

    Attributes
    ----------
    config, run
        The options and the folder of the run.
    state
        All that changes in training: model, optimizer, method and progress.
    loader, monitor
        The training images, and those that each epoch's accuracies are measured on.
    network
        The model that is evaluated (`state.result`), with logits as its output.
    compute_step
        Computes the training step (loss and stages) of a method on a batch.
    time_note
        Returns a sentence about the time that a new training will take, which is measured then;
        None for a short one, and for a run that is resumed.
    stopping
        Whether a callback has called `stop`.
    """

    config: Config
    run: RunFolder
    state: TrainingState
    loader: BatchLoader
    monitor: Monitor
    network: nn.Module
    compute_step: ComputeStep
    time_note: Callable[[Stop], str | None] = lambda stop: None
    stopping: bool = False

    # What callbacks use, see `Callback`.

    @property
    def folder(self) -> Path:
        return self.run.path

    @property
    def model(self) -> nn.Module:
        return self.state.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        return self.state.optimizer

    @property
    def epoch(self) -> int:
        return self.state.progress.epoch

    @property
    def step(self) -> int:
        return self.state.progress.step

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return self.state.progress.metrics

    def stop(self) -> None:
        self.stopping = True

    @property
    def processes(self) -> OneProcess:
        return self.state.processes

    @property
    def epochs(self) -> int:
        return self.config.pretrain + self.config.epochs

    @property
    def is_pretraining(self) -> bool:
        return self.state.progress.epoch < self.config.pretrain


def batches(config: Config, n: int, epoch: int) -> list[Tensor]:
    """Return the batches of an epoch, as positions in the training set of n images: a permutation
    that depends on the seed and the epoch only. A last batch of one image is joined to the one
    before it, since batch norm cannot be trained on one image."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    order = torch.randperm(n, generator=generator)
    if n > config.batch_size and n % config.batch_size == 1:
        *whole, last, single = order.split(config.batch_size)
        return [*whole, torch.cat([last, single])]
    return list(order.split(config.batch_size))


def batches_of_epoch(training: Training, epoch: int) -> list[Tensor]:
    """Return the batches of an epoch. A method that uses each batch m times goes over all images in
    m epochs, so an epoch has as many updates of the weights as with another method."""
    config, n = training.config, len(training.loader)
    replays = 1 if epoch < config.pretrain else training.state.method.replays
    completed, part = divmod(epoch - config.pretrain, replays)
    return batches(config, n, config.pretrain + completed)[part::replays]


def advice(config: Config, epoch: float) -> str:
    """Return the end of an error message: when it happened and what to do."""
    return (
        f"after {epoch:.2f} epochs, which was not saved: lower --lr (now {config.lr:g}) or --eps "
        f"(now {config.eps:g})"
    )


def save(training: Training) -> None:
    """Write the checkpoint, then the metrics and the weights."""
    state, run = training.state.state_dict(), training.run

    def write() -> None:
        save_checkpoint(run.path, state)
        run.remove_on_failure = False
        publish(training)

    # The other processes wait: if they ended now, torchrun would end the first one too.
    training.processes.on_first_process(write)


def save_finite(training: Training) -> None:
    """Write a checkpoint, unless the weights are not finite."""
    with suppress(NotFiniteError):
        check_finite_weights(training.model, "after an update")
        save(training)


def load(training: Training) -> None:
    """Restore the checkpoint. A run that was interrupted in its first epoch has none."""
    processes, path = training.processes, training.run.path
    if not processes.on_first_process(lambda: has_checkpoint(path)):
        return
    state = processes.on_first_process(lambda: load_checkpoint(path, partial(miscounted, training)))
    processes.on_every_process(lambda: training.state.load_state_dict(state, path))
    if processes.is_first:
        publish(training)  # an interruption after the checkpoint may have left this undone


def miscounted(training: Training, state: dict[str, Any]) -> str | None:
    """Return what is wrong with the sums of a checkpoint, if they have images of more steps than
    were completed. Earlier versions wrote this if a signal came in the backward pass of a slow
    step; the weights are right. None for other content, which is checked when it is loaded."""
    progress = state.get("progress")
    names = ("epoch", "step", "images")
    if not isinstance(progress, dict) or any(type(progress.get(name)) is not int for name in names):
        return None
    epoch, step, images = (progress[name] for name in names)
    if not 0 <= epoch < training.epochs or step <= 0:  # without a step the sums are not used
        return None
    more: int = images - sum(len(batch) for batch in batches_of_epoch(training, epoch)[:step])
    return f"{more} images of epoch {epoch + 1} were counted twice" if more > 0 else None


def publish(training: Training) -> None:
    """Write the files that others read: the metrics, and the weights of the last or best epoch. The
    model card of other weights is removed; the end of training and an evaluation write it again."""
    state = training.state
    metrics = metrics_text(state.progress.metrics).encode()
    files = {METRICS: metrics, WEIGHTS: pack_weights(state.kept_weights())}
    remove_outdated_card(training.run, files)
    training.run.write(files)
