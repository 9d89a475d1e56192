"""Regular adversarial training, R-AT (Madry et al. 2018): the cross-entropy of PGD's images."""

import torch.nn.functional as F
from torch import nn

from ..attacks import pgd
from .base import Batch, Method, Step


class RegularAdversarialTraining(Method):
    """Minimise the robust risk of eq. (2), CE(f(x'), y) with x' by PGD, plus `natural_weight`
    times CE(f(x), y), which is an option of the original code of SENSE-AT."""

    published_mode = "updating"

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        random_start, natural_weight = self.config.random_start, self.config.natural_weight
        assert random_start is not None
        options = self.attack_options(epoch)
        x_adv = pgd(model, batch.x, batch.y, random_start=random_start, **options)
        loss = F.cross_entropy(model(x_adv), batch.y)
        if natural_weight:
            loss = loss + natural_weight * F.cross_entropy(model(batch.x), batch.y)
        return Step(loss)
