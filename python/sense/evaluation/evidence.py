"""What diagnostics are computed from, and when a measured share becomes a warning.

A warning needs the whole exact 95 % interval of the share above the threshold. On fewer than 30
images a check is skipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..attacks.geometry import Bounds
from ..statistics import LEVEL, clopper_pearson
from .outcomes import CorrectMatrix, Record
from .runner import EvaluatedImages, attack_images, build_attack
from .settings import Settings

SUBSET = 128  # maximum number of images for extra passes
MINIMUM = 30  # number of images; with 0 of 30, a share of up to 11.6 % is possible

Verdict = Literal["ok", "warning", "skipped"]


class Diagnostic(NamedTuple):
    """The result of one check: its name, the verdict, the measured value, the threshold above which
    it is a warning, and a sentence."""

    check: str
    verdict: Verdict
    value: float | None
    threshold: float | None
    text: str


class Sample(NamedTuple):
    """n images that represent a fraction of all evaluated images: 1 for all of them, the natural
    accuracy for correctly classified ones. It turns a share of the sample into a share of all
    evaluated images, the unit of an accuracy."""

    n: int
    fraction: float

    def share(self, k: int) -> tuple[float, float, float]:
        """k of the sample as a share of all evaluated images, with the exact interval."""
        exact = clopper_pearson(k, self.n, LEVEL)
        return (
            self.fraction * k / self.n,
            self.fraction * exact.lower,
            self.fraction * exact.upper,
        )

    def points(self, k: int) -> str:
        """The same in words: "3.1 points [2.4, 4.0] of the accuracy on all images"."""
        share, lower, upper = (100 * value for value in self.share(k))
        return f"{share:.1f} points [{lower:.1f}, {upper:.1f}] of the accuracy on all images"


@dataclass(frozen=True)
class Evidence:
    """What the checks use.

    Attributes
    ----------
    model
        In evaluation mode.
    images, labels
        All evaluated images and their labels.
    settings
        Complete settings.
    correct
        Whether each image is correctly classified under each attack.
    predictions
        Without attack, for all evaluated images.
    subset
        Positions of the images for extra passes: the first ones that are correctly classified
        without attack, at most `SUBSET`.
    bounds
        Of the adversarial images.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    settings: Settings
    correct: CorrectMatrix
    predictions: Tensor
    subset: Tensor
    bounds: Bounds = (0, 1)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        data: EvaluatedImages,
        settings: Settings,
        record: Record,
        bounds: Bounds = (0, 1),
    ) -> "Evidence":
        """The evidence of a completed evaluation."""
        correct = record.correct()
        predictions = torch.tensor(record.predictions["natural"])
        subset = correct["natural"].nonzero().squeeze(1)[:SUBSET]
        return cls(model, data.x, data.y, settings, correct, predictions, subset, bounds)

    @property
    def x(self) -> Tensor:
        """The images for extra passes."""
        return self.images[self.subset.to(self.images.device)]

    @property
    def y(self) -> Tensor:
        """The labels of the images for extra passes."""
        return self.labels[self.subset.to(self.labels.device)]

    @property
    def first_images(self) -> Tensor:
        """The first images, correctly classified or not."""
        return self.images[:SUBSET]

    @property
    def all_sample(self) -> Sample:
        """All evaluated images as a sample."""
        return Sample(len(self.labels), 1.0)

    @property
    def subset_sample(self) -> Sample:
        """The images for extra passes as a sample."""
        return Sample(len(self.subset), float(self.correct["natural"].float().mean()))

    def ran_before(self, first: Sequence[str], then: Sequence[str]) -> bool:
        """Whether all of the first attacks ran before any of the others. In a cascade, the later
        ones do not see the images that the earlier ones broke."""
        names = self.correct.attacks
        begin = [names.index(name) for name in then if name in names]
        return not begin or max(names.index(name) for name in first) < min(begin)

    def correct_in_subset(self, attacks: Sequence[str]) -> Tensor:
        """Which images for extra passes are correctly classified under each of the attacks: bool,
        shape (m,)."""
        return self.correct.under(["natural", *attacks])[self.subset]

    def misclassified_by(self, attack: str, among: Tensor, **options: int | float | None) -> Tensor:
        """Which images for extra passes, among the given ones, are misclassified under the attack
        with these options in place of the evaluation's: bool, shape (m,)."""
        settings = replace(self.settings, **options) if options else self.settings  # type: ignore[arg-type]
        x, y, attacked = self.x, self.y, among.to(self.labels.device)
        before = torch.where(attacked, y, -1)  # a wrong prediction: not attacked
        built = build_attack(attack, settings, bounds=self.bounds)
        after = attack_images(built, self.model, x, y, before, settings.seed)
        return (attacked & (after != y)).cpu()


def check_share(
    name: str, k: int, sample: Sample, threshold: float, warning: str, fine: str
) -> Diagnostic:
    """A warning if the exact interval of the share lies above the threshold; skipped on fewer than
    `MINIMUM` images."""
    if sample.n < MINIMUM:
        return too_few(name, sample.n)
    value, lower, _ = sample.share(k)
    warns = lower > threshold
    return Diagnostic(
        name, "warning" if warns else "ok", value, threshold, warning if warns else fine
    )


def check_value(name: str, value: float, threshold: float, warning: str, fine: str) -> Diagnostic:
    """A warning if a value without sampling error is above the threshold."""
    warns = value > threshold
    return Diagnostic(
        name, "warning" if warns else "ok", value, threshold, warning if warns else fine
    )


def too_few(
    name: str, n: int, what: str = "images that are correctly classified without attack"
) -> Diagnostic:
    return skipped(name, f"{n} {what} are too few: at least {MINIMUM} are needed")


def skipped(name: str, why: str) -> Diagnostic:
    return Diagnostic(name, "skipped", None, None, why)
