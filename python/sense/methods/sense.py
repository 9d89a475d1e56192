"""Sensible adversarial training, SENSE-AT (Algorithms 1 and 2): the cross-entropy of the sensible
adversary's images, which truncates the robust loss without ever writing so (eq. 14)."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..attacks.sensible import StageTest, sensible_with_stages
from .base import Batch, Step


class SensibleAdversarialTraining:
    """Minimises the training sensible robust risk of eq. (9).

    In the first `warmup` epochs no step is taken back: full PGD on the images that are correctly
    classified with p_y(x) > c (section 5.3), the others as they are.
    """

    def __init__(
        self,
        *,
        c: float,
        eps: float,
        step_size: float,
        steps: int,
        norm: float,
        random_start: bool,
        stage_test: StageTest,
        warmup: int,
    ) -> None:
        self.attack = partial(
            sensible_with_stages, c=c, eps=eps, step_size=step_size, steps=steps, norm=norm,
            random_start=random_start, stage_test=stage_test,
        )  # fmt: skip
        self.warmup = warmup

    def __call__(self, model: nn.Module, batch: Batch, epoch: int) -> Step:
        x_adv, stages = self.attack(model, batch.x, batch.y, revert=epoch >= self.warmup)
        return Step(F.cross_entropy(model(x_adv), batch.y), stages)
