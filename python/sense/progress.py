"""How far a run is, and what an epoch was like."""

from dataclasses import dataclass, field
from typing import Any

import torch

from .attacks import Stage
from .methods import Step


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

    def add(self, step: Step, images: int, seconds: float) -> None:
        self.step += 1
        self.loss += float(step.loss.detach()) * images
        self.images += images
        self.seconds += seconds
        if step.stages is not None:
            counts = torch.bincount(step.stages.int(), minlength=len(Stage)).tolist()
            self.stages = [a + b for a, b in zip(self.stages or [0, 0, 0], counts, strict=True)]
        for name, values in step.means.items():
            total, count = self.means.get(name, [0.0, 0])
            self.means[name] = [
                total + float(values.nansum()), count + int((~values.isnan()).sum())
            ]  # fmt: skip

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
    n = line["monitored"]
    stages = "".join(
        f"  {name.upper()} {line[f'stage_{name}']}" for name in "abc" if f"stage_{name}" in line
    )
    means = "".join(
        f"  {text} {line[name]:.4f}" for name, text in MEANS.items() if line.get(name) is not None
    )
    return (
        f"epoch {line['epoch']:>3}/{epochs}  {line['phase']:<8}  loss {line['loss']:.4f}"
        f"  natural {100 * line['natural_correct'] / n:5.1f} %"
        f"  robust {100 * line['robust_correct'] / n:5.1f} % (n = {n}){stages}{means}"
        f"  {line['seconds']:.1f} s"
    )
