"""Natural training (NT): the cross-entropy of natural images."""

import torch.nn.functional as F
from torch import nn

from .base import Batch, Method, Step


class NaturalTraining(Method):
    """Minimise the standard risk."""

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        return Step(F.cross_entropy(model(batch.x), batch.y))
