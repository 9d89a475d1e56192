"""In which mode an attack sees the model, and the promise that it leaves the model as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

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
def attack_mode(model: nn.Module, mode: Mode) -> Iterator[Callable[[Tensor], Any]]:
    """The mode inside, each module's own again outside. Gradients are on inside, whatever the
    caller had, and gradients of parameters are never written. Gives the model as attacks shall call
    it, see `_in_pairs`."""
    global _attacks
    modes = [(module, module.training) for module in model.modules()]
    kept: list[tuple[Tensor, Tensor]] = []
    if mode == "evaluation":
        model.eval()
    elif mode == "training":
        kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    _attacks += 1
    # To autograd buffers that are put back are as they were, so that the graph of a pass before the
    # attack can still be gone back.
    with _unsafe_preserve_version_counter(tuple(buffer for buffer, _ in kept)):
        try:
            with torch.enable_grad():
                yield model if mode == "evaluation" else _in_pairs(model)
        finally:
            _attacks -= 1
            for module, training in modes:
                module.training = training
            with torch.no_grad():
                for buffer, value in kept:
                    buffer.copy_(value)


def _in_pairs(model: nn.Module) -> Callable[[Tensor], Any]:
    """The model, to which an image that is left alone is passed twice: in training mode batch norm
    knows no statistics of a single one. Its mean is then the image's own and its variance that
    within the image."""

    def call(z: Tensor) -> Any:
        return model(z) if len(z) != 1 else model(torch.cat([z, z]))[:1]

    return call
