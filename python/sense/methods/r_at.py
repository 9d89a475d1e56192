"""Regular adversarial training (Madry et al. 2018): the cross-entropy of PGD's images."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..attacks import pgd
from .base import Batch, Step


class RegularAdversarialTraining:
    """Minimises the robust risk of eq. (2), with PGD as the inner maximiser."""

    def __init__(
        self, *, eps: float, step_size: float, steps: int, norm: float, random_start: bool
    ) -> None:
        self.attack = partial(
            pgd, eps=eps, step_size=step_size, steps=steps, norm=norm, random_start=random_start
        )

    def __call__(self, model: nn.Module, batch: Batch, epoch: int) -> Step:
        x_adv = self.attack(model, batch.x, batch.y)
        return Step(F.cross_entropy(model(x_adv), batch.y))
