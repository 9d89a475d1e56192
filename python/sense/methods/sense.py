"""Sensible adversarial training, SENSE-AT (Algorithms 1 and 2): the cross-entropy of the sensible
adversary's images, which truncates the robust loss without ever writing so (eq. 14)."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..attacks.geometry import L2Form
from ..attacks.modes import Mode
from ..attacks.sensible import Boundary, StageTest, sensible_with_stages
from .base import Batch, Step


class SensibleAdversarialTraining:
    """Minimises the training sensible robust risk of eq. (9); `natural_weight` of the natural
    cross-entropy may be added, as the authors' code can.

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
        boundary: Boundary = "revert",
        bisections: int = 8,
        natural_weight: float = 0.0,
        mode: Mode = "evaluation",
        l2_form: L2Form = "paper",
    ) -> None:
        self.attack = partial(
            sensible_with_stages,
            c=c,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            random_start=random_start,
            stage_test=stage_test,
            boundary=boundary,
            bisections=bisections,
            mode=mode,
            l2_form=l2_form,
        )
        self.warmup, self.natural_weight = warmup, natural_weight

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        x_adv, stages, gaps = self.attack(model, batch.x, batch.y, revert=epoch >= self.warmup)
        loss = F.cross_entropy(model(x_adv), batch.y)
        if self.natural_weight:
            loss = loss + self.natural_weight * F.cross_entropy(model(batch.x), batch.y)
        return Step(loss, stages, {"stage_b_gap": gaps})
