"""TRADES (Zhang et al. 2019): the natural cross-entropy, plus beta times the divergence between the
predictions of the natural and the adversarial image."""

from torch import Tensor, nn

from ..attacks.divergence import divergence_pgd
from ..attacks.losses import divergence
from .base import Batch, Examples, TwoPartMethod


class TRADES(TwoPartMethod):
    """Minimise CE(f(x), y) + beta KL(p(x) || p(x')), where beta is 1 / lambda of the authors'
    paper. Gradients flow through both predictions. As in the authors' code p(x) of the second term
    has its own forward pass, which matters for dropout and for the running statistics of batch
    norm."""

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        x_adv = divergence_pgd(model, batch.x, **self.attack_options(epoch))
        return Examples(batch.x, batch.y, x_adv)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        natural = self.cross_entropy(model(examples.x), examples.y)
        adversarial = model(examples.x_adv)
        divergences = divergence(model(examples.x), adversarial)
        return natural + self.config.beta * self.mean(divergences, examples.y)
