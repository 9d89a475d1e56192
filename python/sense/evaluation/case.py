"""What is judged of an evaluation, and when a count of images is a warning.

A warning needs more than a point: the whole exact 95 % interval of the share must lie above the
threshold. Below a least number of images nothing is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..statistics import clopper_pearson
from .batches import Batch
from .outcomes import Record
from .runner import attack_images, build_attack
from .settings import Settings

IMAGES = 128  # naturally right, on which the extra passes are made
FEWEST = 30  # images; 0 of 30 leaves a share of up to 11.6 % possible
LEVEL = 0.95

Verdict = Literal["ok", "warning", "skipped"]


class Check(NamedTuple):
    """One sign: what was measured, from where on it is a warning, and a sentence for people."""

    check: str
    verdict: Verdict
    value: float | None
    threshold: float | None
    text: str


@dataclass(frozen=True)
class Case:
    """What is judged.

    Attributes
    ----------
    model
        In evaluation mode.
    images, labels
        All that were evaluated.
    settings
        Complete ones.
    right
        By attack, natural among them: which of all evaluated images are right under it.
    guesses
        What the network says of all evaluated images as they are.
    where
        Those for further passes: the first that are naturally right.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    settings: Settings
    right: dict[str, Tensor]
    guesses: Tensor
    where: Tensor

    @staticmethod
    def of(
        model: nn.Module, batches: Sequence[Batch], settings: Settings, record: Record
    ) -> "Case":
        """An evaluation that was made: its images, and what the record has of them."""
        images, labels = torch.cat([b.x for b in batches]), torch.cat([b.y for b in batches])
        found = {name: torch.tensor(row) for name, row in record.predictions.items()}
        right = {name: row == labels.cpu() for name, row in found.items()}
        where = right["natural"].nonzero().squeeze(1)[:IMAGES]
        return Case(model, images, labels, settings, right, found["natural"], where)

    @property
    def x(self) -> Tensor:
        return self.images[self.where.to(self.images.device)]

    @property
    def y(self) -> Tensor:
        return self.labels[self.where.to(self.labels.device)]

    @property
    def sample(self) -> Tensor:
        """The first images, right or not."""
        return self.images[:IMAGES]

    @property
    def everything(self) -> "Looked":
        """All evaluated images as what a sign looked at."""
        return Looked(len(self.labels), 1.0)

    @property
    def some(self) -> "Looked":
        """The images for further passes as what a sign looked at: some of those naturally right."""
        return Looked(len(self.where), float(self.right["natural"].float().mean()))

    def before(self, first: Sequence[str], then: Sequence[str]) -> bool:
        """Whether all of the first attacks were tried before any of the others: else, in a
        cascade, they did not see the images that the others broke."""
        names = list(self.right)
        begin = [names.index(name) for name in then if name in names]
        return not begin or max(names.index(name) for name in first) < min(begin)

    def under(self, attacks: Sequence[str]) -> Tensor:
        """Which of all evaluated images are right under every one of these attacks."""
        return torch.stack([self.right[name] for name in attacks]).all(0)

    def standing(self, attacks: Sequence[str]) -> Tensor:
        """The same of the images for further passes: bool, shape (m,)."""
        return self.under(["natural", *attacks])[self.where]

    def broken_by(self, attack: str, standing: Tensor, **options: int | float | None) -> Tensor:
        """Which of the images for further passes stand, and are broken by the attack with these
        options in place of the evaluation's: bool, shape (m,)."""
        settings = replace(self.settings, **options) if options else self.settings  # type: ignore[arg-type]
        x, y, stand = self.x, self.y, standing.to(self.labels.device)
        before = torch.where(stand, y, -1)  # an image that fell is not attacked
        after = attack_images(
            build_attack(attack, settings), self.model, x, y, before, settings.seed
        )
        return (stand & (after != y)).cpu()


class Looked(NamedTuple):
    """So many images that a sign looked at, out of this part of all evaluated ones: 1 for all, the
    natural accuracy for those naturally right. It turns a share of the former into a share of all
    evaluated images, which is what an accuracy is of."""

    n: int
    part: float

    def share(self, k: int) -> tuple[float, float, float]:
        """k of them as a share of all evaluated images, with the exact interval."""
        exact = clopper_pearson(k, self.n, LEVEL)
        return self.part * k / self.n, self.part * exact.lower, self.part * exact.upper

    def points(self, k: int) -> str:
        """The same for people: "3.1 points [2.4, 4.0] of the accuracy over all images"."""
        share, lower, upper = (100 * value for value in self.share(k))
        return f"{share:.1f} points [{lower:.1f}, {upper:.1f}] of the accuracy over all images"


def check_share(
    name: str, k: int, looked: Looked, threshold: float, warning: str, fine: str
) -> Check:
    """A warning where the exact interval of the share lies above the threshold; not judged on too
    few images."""
    if looked.n < FEWEST:
        return too_few(name, looked.n)
    value, lower, _ = looked.share(k)
    found = lower > threshold
    return Check(name, "warning" if found else "ok", value, threshold, warning if found else fine)


def check_value(name: str, value: float, threshold: float, warning: str, fine: str) -> Check:
    """A warning where a value that no drawing of images makes uncertain is above the threshold."""
    found = value > threshold
    return Check(name, "warning" if found else "ok", value, threshold, warning if found else fine)


def too_few(name: str, n: int, what: str = "images that are naturally right") -> Check:
    return skipped(name, f"{n} {what} say too little: {FEWEST} are needed")


def skipped(name: str, why: str) -> Check:
    return Check(name, "skipped", None, None, why)
