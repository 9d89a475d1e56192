"""How far a run is, and what an epoch was like."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from .attacks import Stage
from .methods import Step


class Tally(NamedTuple):
    """Sums over the images of a step: see `Progress`, whose sums over the steps they make."""

    loss: float
    images: int
    stages: list[int] | None
    means: dict[str, list[float]]

    @staticmethod
    def of(step: Step, images: int, total: Callable[[list[float]], list[float]] = list) -> "Tally":
        """The sums over the first `images` images of the step, or over all processes' where `total`
        gives sums over these."""
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
        return Tally(
            loss,
            int(count),
            [int(n) for n in rest[: len(stages)]] or None,
            {name: [means[2 * i], int(means[2 * i + 1])] for i, name in enumerate(step.means)},
        )


@dataclass
class Progress:
    """Whole epochs, steps of the present one, and that one's sums so far."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0
    stages: list[int] | None = None
    means: dict[str, list[float]] = field(default_factory=dict)  # sum and number of images
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def add(self, tally: Tally, seconds: float) -> None:
        self.step += 1
        self.loss += tally.loss
        self.images += tally.images
        self.seconds += seconds
        if tally.stages is not None:
            before = self.stages or [0, 0, 0]
            self.stages = [a + b for a, b in zip(before, tally.stages, strict=True)]
        for name, sums in tally.means.items():
            before_it = self.means.get(name, [0.0, 0])
            self.means[name] = [a + b for a, b in zip(before_it, sums, strict=True)]

    def stage_counts(self) -> dict[str, int]:
        """How many images of the epoch were in stages A, B and C; empty for a method without."""
        if self.stages is None:
            return {}
        return {f"stage_{stage.name.lower()}": self.stages[stage] for stage in Stage}

    def epoch_means(self) -> dict[str, float | None]:
        """What the method averages over the epoch's images; None over none."""
        return {name: total / n if n else None for name, (total, n) in self.means.items()}

    def end_epoch(self, line: dict[str, Any]) -> None:
        self.metrics.append(line)
        self.epoch += 1
        self.step, self.loss, self.images, self.seconds = 0, 0.0, 0, 0.0
        self.stages, self.means = None, {}


MEANS = {"stage_b_gap": "B below log(1/c)", "margin": "margin", "radius": "radius"}


def epoch_line(line: dict[str, Any], epochs: int) -> str:
    """An epoch in one line, for people."""
    n, images = line["monitored"], line.get("monitored_on", "test")
    stages = "".join(
        f"  {name.upper()} {line[f'stage_{name}']}" for name in "abc" if f"stage_{name}" in line
    )
    means = "".join(
        f"  {text} {line[name]:.4f}" for name, text in MEANS.items() if line.get(name) is not None
    )
    return (
        f"epoch {line['epoch']:>3}/{epochs}  {line['phase']:<8}  loss {line['loss']:.4f}"
        f"  natural {100 * line['natural_correct'] / n:5.1f} %"
        f"  robust {100 * line['robust_correct'] / n:5.1f} % (n = {n} {images} images)"
        f"{stages}{means}"
        f"  {line['seconds']:.1f} s"
    )
