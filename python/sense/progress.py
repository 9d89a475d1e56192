"""The progress of a run and the metrics of an epoch."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .attacks import Stage
from .collapse import NAMES
from .distributed import OneProcess
from .methods import Step
from .transfers import LateValue

MOST_WAITING = 16  # steps; the device has work for all of them


class BatchMetrics(NamedTuple):
    """Sums over the images of a batch.

    Attributes
    ----------
    loss, images
        Sum of the losses, and number of images.
    stages
        Number of images in stages A, B and C; None for a method without stages.
    means
        By name the sum over the images that have a value, and their number.
    """

    loss: float
    images: int
    stages: list[int] | None
    means: dict[str, list[float]]

    @classmethod
    def from_sums(cls, step: Step, numbers: list[float]) -> "BatchMetrics":
        """Return the numbers of `sums` by their names."""
        loss, count, *rest = numbers
        stages, means = [], rest
        if step.stages is not None:
            stages, means = rest[: len(Stage)], rest[len(Stage) :]
        return cls(
            loss,
            int(count),
            [int(n) for n in stages] or None,
            {name: [means[2 * i], int(means[2 * i + 1])] for i, name in enumerate(step.means)},
        )


def sums(step: Step, images: int) -> Tensor:
    """Return the sums over the first `images` images of the step, on its device and without waiting
    for it: loss, number of images, images in each stage, and for each mean the sum and the number
    of its values. Float64, one dimension."""
    loss = step.loss.detach().double() * images
    numbers = [loss, torch.full_like(loss, images)]
    if step.stages is not None:
        stages = step.stages[:images]
        numbers += [(stages == stage).sum() for stage in Stage]
    for values in step.means.values():
        numbers += [values[:images].nansum(), (~values[:images].isnan()).sum()]
    return torch.stack([number.to(loss) for number in numbers])


class LateMetrics:
    """The metrics of steps, in their order, as they arrive from the device.

    From a CPU, and with several processes, those of a step are there at once. From a CUDA device
    they arrive some steps later, so that the device never waits for Python to read them.
    """

    def __init__(self, processes: OneProcess) -> None:
        self.processes = processes
        self._waiting: deque[tuple[Step, LateValue, float, bool]] = deque()

    def add(self, step: Step, images: int, epoch: float, *, counts: bool = True) -> None:
        """Add a step on `images` images at `epoch`. `counts`: it is not one of the replays of a
        batch that are left out of the sums."""
        names = replace(step, loss=step.loss.detach())  # without its autograd graph
        self._waiting.append((names, LateValue(sums(step, images)), epoch, counts))

    def take(self, wait: bool = False) -> Iterator[tuple[BatchMetrics, float, bool]]:
        """Yield the metrics that have arrived, with the epoch of each and whether it counts; with
        `wait` all."""
        wait = wait or self.processes.size > 1
        while self._waiting:
            step, value, epoch, counts = self._waiting[0]
            if not (wait or value.is_ready() or len(self._waiting) > MOST_WAITING):
                return
            self._waiting.popleft()
            yield BatchMetrics.from_sums(step, self.processes.sum(value.read())), epoch, counts


@dataclass
class TrainingProgress:
    """Completed epochs, steps of the current epoch, the sums of its `BatchMetrics`, its seconds,
    and the metrics of each completed epoch."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0
    stages: list[int] | None = None
    means: dict[str, list[float]] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def copy(self) -> "TrainingProgress":
        """Return a copy that steps after this moment leave as it is."""
        return replace(self, means=dict(self.means))

    def start_epoch(self) -> None:
        """Begin an epoch: there are no sums yet."""
        self.step, self.loss, self.images, self.seconds = 0, 0.0, 0, 0.0
        self.stages, self.means = None, {}

    def end_step(self, seconds: float) -> None:
        """Count a step that took `seconds`."""
        self.step += 1
        self.seconds += seconds

    def add(self, batch: BatchMetrics) -> None:
        """Add the sums of a batch."""
        self.loss += batch.loss
        self.images += batch.images
        if batch.stages is not None:
            stages = self.stages or [0, 0, 0]
            self.stages = [a + b for a, b in zip(stages, batch.stages, strict=True)]
        for name, sums in batch.means.items():
            before = self.means.get(name, [0.0, 0])
            self.means[name] = [a + b for a, b in zip(before, sums, strict=True)]

    def mean_loss(self) -> float:
        """Return the mean loss per image of the epoch so far."""
        return self.loss / self.images

    def stage_counts(self) -> dict[str, int]:
        """Return the number of images in each stage; empty for a method without stages."""
        if self.stages is None:
            return {}
        return {f"stage_{stage.name.lower()}": self.stages[stage] for stage in Stage}

    def epoch_means(self) -> dict[str, float | None]:
        """Return the method's own means over the images of the epoch; None if no image has one."""
        return {name: total / n if n else None for name, (total, n) in self.means.items()}

    def end_epoch(self, metrics: dict[str, Any]) -> None:
        """Store the metrics of the epoch and begin the next."""
        self.metrics.append(metrics)
        self.epoch += 1
        self.start_epoch()


MEANS = {"stage_b_gap": "B below log(1/c)", "margin": "margin", "radius": "radius"}


def epoch_line(completed: Sequence[dict[str, Any]], epochs: int) -> str:
    """Return the metrics of the last of the completed epochs as one line of text, with an estimate
    of the time that is left."""
    metrics = completed[-1]
    n, images = metrics["monitored"], metrics.get("monitored_on", "test")
    stages = "".join(
        f"  {name.upper()} {metrics[f'stage_{name}']}"
        for name in "abc"
        if f"stage_{name}" in metrics
    )
    means = "".join(
        f"  {text} {metrics[name]:.4f}"
        for name, text in MEANS.items()
        if metrics.get(name) is not None
    )
    collapse = f"  COLLAPSED ({NAMES[metrics['collapse']]})" if metrics.get("collapse") else ""
    return (
        f"epoch {metrics['epoch']:>3}/{epochs}  {metrics['phase']:<8}  loss {metrics['loss']:.4f}"
        f"  natural {100 * metrics['natural_correct'] / n:5.1f} %"
        f"  robust {100 * metrics['robust_correct'] / n:5.1f} % (n = {n} {images} images)"
        f"{stages}{means}{collapse}"
        f"  {metrics['seconds']:.1f} s{time_left(completed, epochs)}"
    )


def time_left(completed: Sequence[dict[str, Any]], epochs: int) -> str:
    """Return ", about 3 min left", from the mean of the last three epochs of the method. Empty
    before its first epoch, which takes longer than one of natural pre-training, and at the end."""
    recent = [line["seconds"] for line in completed if line["phase"] == "train"][-3:]
    if not recent or completed[-1]["epoch"] >= epochs:
        return ""
    seconds = (epochs - completed[-1]["epoch"]) * sum(recent) / len(recent)
    return f", about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Return a time such as "3 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
