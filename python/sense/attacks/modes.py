"""In which mode an attack sees the model, and the promise that it leaves the model as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Mode = Literal["evaluation", "training", "updating"]
# evaluation: no dropout, and batch norm by its running statistics.
# training: each module as the caller has it: while training, dropout and the batch's own
#     statistics; the running ones are put back afterwards.
# updating: the same, and each pass updates the running statistics.

_attacks = 0


def attacking() -> bool:
    """Whether an attack is looking at a model now."""
    return _attacks > 0


@contextmanager
def attack_mode(model: nn.Module, mode: Mode) -> Iterator[None]:
    """The mode inside, each module's own again outside. Gradients are on inside, whatever the
    caller had, and gradients of parameters are never written."""
    global _attacks
    modes = [(module, module.training) for module in model.modules()]
    kept: list[tuple[Tensor, Tensor]] = []
    if mode == "evaluation":
        model.eval()
    elif mode == "training":
        kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    _attacks += 1
    try:
        with torch.enable_grad():
            yield
    finally:
        _attacks -= 1
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
