"""SENSE-TRADES, the variant in the original code of SENSE-AT: a sensible adversary that maximises
the divergence from the natural prediction, and that divergence as the loss."""

import torch.nn.functional as F
from torch import nn

from ..attacks.losses import divergence
from .base import Batch, Step
from .sense import SensibleAdversarialTraining


class SenseTRADES(SensibleAdversarialTraining):
    """Minimises KL(p(x) || p(x^s)) + natural_weight CE(f(x), y); gradients flow through both
    predictions.

    As in that code the first step of the attack climbs the cross-entropy and the others the
    divergence, which is also what is compared with log(1/c); p(x) is the training-mode prediction,
    the attack's in evaluation mode. That code adds no cross-entropy unless told to: labels then
    count only in stage A. The options are those of `SensibleAdversarialTraining`.
    """

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        logits = model(batch.x)
        x_adv, stages, gaps = self.attack(
            model, batch.x, batch.y, revert=epoch >= self.warmup, reference=logits
        )
        loss = divergence(logits, model(x_adv)).mean()
        if self.natural_weight:
            loss = loss + self.natural_weight * F.cross_entropy(logits, batch.y)
        return Step(loss, stages, {"stage_b_gap": gaps})
