"""The progress of a run and the metrics of an epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from .attacks import Stage
from .collapse import NAMES
from .methods import Step


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
    def of(
        cls, step: Step, images: int, total: Callable[[list[float]], list[float]] = list
    ) -> "BatchMetrics":
        """Return the sums over the first `images` images of the step; `total` adds those of other
        processes."""
        stages: list[int] = []
        if step.stages is not None:
            stages = torch.bincount(step.stages[:images].int(), minlength=len(Stage)).tolist()
        means = [
            number
            for values in step.means.values()
            for number in (float(values[:images].nansum()), float((~values[:images].isnan()).sum()))
        ]
        loss, count, *rest = total([float(step.loss.detach()) * images, images, *stages, *means])
        means = rest[len(stages) :]
        return cls(
            loss,
            int(count),
            [int(n) for n in rest[: len(stages)]] or None,
            {name: [means[2 * i], int(means[2 * i + 1])] for i, name in enumerate(step.means)},
        )


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

    def add(self, batch: BatchMetrics, seconds: float) -> None:
        self.step += 1
        self.loss += batch.loss
        self.images += batch.images
        self.seconds += seconds
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
        self.step, self.loss, self.images, self.seconds = 0, 0.0, 0, 0.0
        self.stages, self.means = None, {}


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
    if seconds < 90:
        return f", about {seconds:.0f} s left"
    if seconds < 90 * 60:
        return f", about {seconds / 60:.0f} min left"
    return f", about {seconds / 3600:.1f} h left"
