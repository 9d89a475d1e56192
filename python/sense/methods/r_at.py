"""Regular adversarial training, R-AT (Madry et al. 2018): the cross-entropy of PGD's images."""

from torch import Tensor, nn

from ..attacks import pgd
from .base import Batch, Examples, TwoPartMethod


class RegularAdversarialTraining(TwoPartMethod):
    """Minimise the robust risk of eq. (2), CE(f(x'), y) with x' by PGD, plus `natural_weight`
    times CE(f(x), y), which is an option of the original code of SENSE-AT."""

    published_mode = "updating"

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        random_start = self.config.random_start
        assert random_start is not None
        options = self.attack_options(epoch)
        x_adv = pgd(model, batch.x, batch.y, random_start=random_start, **options)
        return Examples(batch.x, batch.y, x_adv)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        return self.adversarial_cross_entropy(model, examples)
