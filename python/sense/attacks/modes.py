"""Mode of the model in an attack. The attack leaves the model unchanged."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from ..graphs import Graphs, graphs_of
from .geometry import Bounds
from .output_checks import value_checks_are_skipped

Mode = Literal["evaluation", "training", "updating"]
# evaluation: no dropout, and batch norm uses its running statistics.
# training: each module is in the mode that the caller set. In training mode that means dropout and
#     the statistics of the batch; the running statistics are restored afterwards.
# updating: as training, but each forward pass updates the running statistics.

_running_attacks = 0


def in_attack() -> bool:
    """Return whether an attack is running."""
    return _running_attacks > 0


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """Restore the mode, training or evaluation, of each module afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def attack_mode(model: nn.Module, mode: Mode) -> Iterator[Callable[[Tensor], Any]]:
    """Set the mode inside, and restore that of each module afterwards. Gradients are enabled
    inside; those of parameters are never written. Yields the model as attacks have to call it, see
    `_without_single_images`."""
    global _running_attacks
    saved_buffers: list[tuple[Tensor, Tensor]] = []
    if mode == "training":
        saved_buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    _running_attacks += 1
    # Buffers are restored without a new version for autograd, so that a forward pass before the
    # attack can still be followed by its backward pass.
    versions = _unsafe_preserve_version_counter(tuple(buffer for buffer, _ in saved_buffers))
    with kept_modes(model), versions:
        try:
            if mode == "evaluation":
                model.eval()
            with torch.enable_grad():
                yield model if mode == "evaluation" else _without_single_images(model)
        finally:
            _running_attacks -= 1
            with torch.no_grad():
                for buffer, value in saved_buffers:
                    buffer.copy_(value)


def recorded_passes(model: nn.Module, bounds: Bounds = (0, 1)) -> tuple[nn.Module, Graphs | None]:
    """Return the network to call in an attack whose passes are recorded as wholes, and what records
    them: None if bounds are tensors, which a graph would read at one address. The model itself and
    None if it is not in CUDA graphs or if values are checked."""
    graphs = graphs_of(model)
    if graphs is None or not value_checks_are_skipped():
        return model, None
    return graphs.network, None if isinstance(bounds[0], Tensor) else graphs


def _without_single_images(model: nn.Module) -> Callable[[Tensor], Any]:
    """Return the model as a function that passes a single image twice: in training mode batch norm
    cannot use a batch of one. Mean and variance are then those within the image."""

    def call(z: Tensor) -> Any:
        return model(z) if len(z) != 1 else model(torch.cat([z, z]))[:1]

    return call
