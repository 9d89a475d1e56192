"""What a training method is: a batch goes in, a loss comes out."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor, nn


class Batch(NamedTuple):
    """Images (float, n x channels x height x width), int64 labels, and which images of the
    training set they are (int64, for methods that remember something of each)."""

    x: Tensor
    y: Tensor
    position: Tensor


@dataclass(frozen=True)
class Step:
    """The loss to descend, a mean over the batch; and each image's `Stage` where the method has
    stages."""

    loss: Tensor
    stages: Tensor | None = None


class Method(Protocol):
    """A training method knows neither files, devices nor progress."""

    def __call__(self, model: nn.Module, batch: Batch, epoch: int) -> Step:
        """The loss of a batch in the method's epoch 0, 1, ...; the model is in training mode."""
        ...
