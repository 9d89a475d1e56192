"""Natural training (NT): the cross-entropy of natural images."""

from torch import Tensor, nn

from .base import Batch, Examples, TwoPartMethod


class NaturalTraining(TwoPartMethod):
    """Minimise the standard risk."""

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        return Examples(batch.x, batch.y, batch.x)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        return self.cross_entropy(model(examples.x), examples.y)
