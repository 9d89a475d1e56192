"""Natural training: the cross-entropy of the images as they are."""

import torch.nn.functional as F
from torch import nn

from .base import Batch, Step


class NaturalTraining:
    """Minimises the standard risk."""

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        return Step(F.cross_entropy(model(batch.x), batch.y))
