"""A network of normalised images, as one of pixels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError


class Normalised(nn.Module):
    """A network that takes normalised images, as a network that takes pixels from 0 to 1.

        network = sense.Normalised(resnet, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

    The forward pass is model((x - mean) / std). Attacks, eps and the bounds of pixels need pixels
    from 0 to 1. A network that was trained on normalised images is therefore wrapped, and its
    images are passed without normalisation.

    Parameters
    ----------
    model
        The network. It is an attribute, so that `network.model.state_dict()` has its own names.
        Weights of the plain network are loaded into the wrapped one and vice versa, wherever this
        package loads weights.
    mean, std
        Mean and standard deviation of pixels from 0 to 1: one number for each channel, or one for
        all. They are buffers: they move with the network and are stored with its weights.

    Raises
    ------
    InputError
        For a mean outside [0, 1], or a std that is not more than 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, mean: float | Sequence[float], std: float | Sequence[float]
    ) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        means, stds = _numbers(mean, "mean"), _numbers(std, "std")
        if len(means) != len(stds):
            raise InputError(
                f"mean and std must have the same length, the number of channels, got {means} and "
                f"{stds}"
            )
        if not all(0 <= value <= 1 for value in means):
            hint = ": divide mean and std by 255, if they are those of bytes"
            hint = hint if max(means) > 1 else ""
            raise InputError(f"mean must be that of pixels from 0 to 1, got {means}{hint}")
        if not all(0 < value < math.inf for value in stds):
            raise InputError(f"std must be more than 0, got {stds}")
        self.channels = len(means)
        self.register_buffer("mean", torch.tensor(means, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(stds, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.channels not in (1, x.shape[-3]):
            raise ValueError(
                f"mean and std have {self.channels} channels, the images {x.shape[-3]}"
            )
        return self.model((x - self.mean) / self.std)

    def extra_repr(self) -> str:
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"


def _numbers(values: float | Sequence[float], what: str) -> list[float]:
    """Return one number, or one for each channel, as a list."""
    try:
        numbers = torch.as_tensor(values, dtype=torch.float64).reshape(-1).tolist()
    except (TypeError, ValueError, RuntimeError):
        numbers = []
    if not numbers:
        raise InputError(f"{what} must be a number, or one for each channel, got {values!r}")
    return numbers
