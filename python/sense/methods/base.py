"""What a training method is: a batch goes in, a loss comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn


class Batch(NamedTuple):
    """Images (float, n x channels x height x width), int64 labels, and which images of the
    training set they are (int64, for methods that remember something of each)."""

    x: Tensor
    y: Tensor
    position: Tensor


@dataclass(frozen=True)
class Step:
    """The loss to descend, a mean over the batch; each image's `Stage` where the method has stages;
    and by name what else is averaged over the images of an epoch, NaN where an image has none."""

    loss: Tensor
    stages: Tensor | None = None
    means: Mapping[str, Tensor] = field(default_factory=dict)


class Method(Protocol):
    """A training method knows neither files, devices nor progress."""

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        """The loss of a batch, `epoch` epochs after the method's start (2.5: halfway through its
        third); the model is in training mode."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A method with a memory of each training image, which belongs into the checkpoint."""

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...
