"""Sensible adversarial training, SENSE-AT (Algorithms 1 and 2): the cross-entropy of the images of
the sensible adversary. This truncates the robust loss implicitly (eq. 14)."""

from torch import Tensor, nn

from ..attacks.sensible import sensible_with_stages
from ..attacks.stages import Sensible
from .base import Batch, Examples, TwoPartMethod


class SensibleAdversarialTraining(TwoPartMethod):
    """Minimise the training sensible robust risk of eq. (9), plus `natural_weight` times the
    natural cross-entropy, which is an option of the original code.

    In the first `warmup` epochs no step is reverted: images that are correctly classified with
    p_y(x) > c are attacked by full PGD, the others are left as they are (section 5.3).
    """

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        x_adv, stages, stage_b_gap = self.attack(model, batch, epoch)
        means = {"stage_b_gap": stage_b_gap}
        return Examples(batch.x, batch.y, x_adv, stages=stages, means=means)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        return self.adversarial_cross_entropy(model, examples)

    def attack(
        self, model: nn.Module, batch: Batch, epoch: float, reference: Tensor | None = None
    ) -> Sensible:
        """Return the images of the sensible adversary with their stages."""
        config = self.config
        assert config.random_start is not None
        assert config.warmup is not None
        return sensible_with_stages(
            model,
            batch.x,
            batch.y,
            c=config.c,
            random_start=config.random_start,
            stage_test=config.stage_test,
            boundary=config.boundary,
            bisections=config.bisections,
            revert=epoch >= config.warmup,
            reference=reference,
            l2_form=config.l2_form,
            **self.attack_options(epoch),
        )
