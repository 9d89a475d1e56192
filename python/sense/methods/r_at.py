"""Regular adversarial training (Madry et al. 2018): the cross-entropy of PGD's images."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..attacks import pgd
from ..attacks.modes import Mode
from .base import Batch, Step


class RegularAdversarialTraining:
    """Minimises the robust risk of eq. (2), with PGD as the inner maximiser; `natural_weight` of
    the natural cross-entropy may be added, as the authors' code of SENSE-AT can."""

    def __init__(
        self,
        *,
        eps: float,
        step_size: float,
        steps: int,
        norm: float,
        random_start: bool,
        natural_weight: float = 0.0,
        mode: Mode = "evaluation",
    ) -> None:
        self.attack = partial(
            pgd,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            random_start=random_start,
            mode=mode,
        )
        self.natural_weight = natural_weight

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        x_adv = self.attack(model, batch.x, batch.y)
        loss = F.cross_entropy(model(x_adv), batch.y)
        if self.natural_weight:
            loss = loss + self.natural_weight * F.cross_entropy(model(batch.x), batch.y)
        return Step(loss)
