"""SENSE-TRADES, the variant in the original code of SENSE-AT: a sensible adversary that maximises
the divergence from the natural prediction, and this divergence as the loss."""

from torch import Tensor, nn

from ..attacks.losses import divergence
from .base import Batch, Examples
from .sense import SensibleAdversarialTraining


class SenseTRADES(SensibleAdversarialTraining):
    """Minimise KL(p(x) || p(x^s)) + natural_weight CE(f(x), y). Gradients flow through both
    predictions.

    As in the original code, the first step of the attack climbs the cross-entropy and the other
    steps climb the divergence, which is compared with log(1/c). The loss takes p(x) in training
    mode, the attack in evaluation mode. The original code has natural_weight = 0 by default: then
    labels only decide which images are in stage A.
    """

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        logits = model(batch.x)
        x_adv, stages, stage_b_gap = self.attack(model, batch, epoch, reference=logits)
        means = {"stage_b_gap": stage_b_gap}
        return Examples(batch.x, batch.y, x_adv, logits, stages=stages, means=means)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        logits = examples.natural_logits_by(model)
        loss = self.mean(divergence(logits, model(examples.x_adv)), examples.y)
        if self.config.natural_weight:
            loss = loss + self.config.natural_weight * self.cross_entropy(logits, examples.y)
        return loss
