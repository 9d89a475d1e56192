"""The exponential moving average of the weights over the updates of training (`--ema`)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .errors import InputError


def weight_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return the average of a model's weights, which `update_parameters(model)` updates.

    The first update copies the weights. Update t after it (t = 1, 2, ...) sets each average to
    d average + (1 - d) weight with d = min(decay, (1 + t) / (10 + t)), so that the first weights
    are soon forgotten, as in TensorFlow's ExponentialMovingAverage. Running statistics of batch
    norm are averaged like weights (as in timm), whole numbers are copied.

    Raises InputError if the model cannot be copied.
    """

    def update(averages: Sequence[Tensor], values: Sequence[Tensor], t: Tensor | int) -> None:
        if averages[0].is_floating_point():
            # The number of updates is on the CPU in the average itself: no wait for a device.
            n = int(average.n_averaged)
            get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(list(averages), list(values), t)
        else:
            torch._foreach_copy_(list(averages), list(values))

    try:
        average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    except Exception as error:  # copy.deepcopy of a network can fail in any way
        raise InputError(
            f"ema needs a copy of the network, and copy.deepcopy cannot make one: {error}"
        ) from error
    return average


def update_average(average: AveragedModel, model: nn.Module, copy_only: bool) -> None:
    """Update the average. `copy_only`: start it again as a copy of the weights."""
    if copy_only:
        average.n_averaged.zero_()
    average.update_parameters(model)
