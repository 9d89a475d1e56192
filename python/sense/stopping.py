"""Stopping an attack between two passes through the network, or in the midst of a slow one.

An attack may take minutes. `stoppable` makes the network look for a signal whenever it is called,
so that every attack can be stopped, also one of another package.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Stop = Callable[[], int | None]

SLOW = 0.5  # seconds; if a pass takes longer, every layer looks for a signal


class PassStopped(BaseException):
    """A pass through the network was stopped; `reason` is what `stop` returned."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def stoppable(model: nn.Module, stop: Stop) -> Iterator[None]:
    """Inside, a forward or backward pass of the model raises `PassStopped` once `stop()` returns a
    number: at its beginning and, while passes are slow (the first one counts as slow), at each
    layer. Results and gradients are the same."""
    checks = _Checks(model, stop)
    try:
        yield
    finally:
        checks.remove()


class _Checks:
    """The hooks of a model that look for a signal."""

    def __init__(self, model: nn.Module, stop: Stop) -> None:
        self.model, self.stop = model, stop
        self.began: float | None = None
        self.of_model = [
            model.register_forward_pre_hook(self.begin_pass),
            model.register_forward_hook(self.check_backward),
        ]
        self.of_layers: list[RemovableHandle] = []
        self.add_layers()

    def add_layers(self) -> None:
        layers = [
            module
            for module in self.model.modules()
            if module is not self.model and not any(True for _ in module.children())
        ]
        for layer in layers:
            self.of_layers.append(layer.register_forward_pre_hook(self.check))
            self.of_layers.append(layer.register_forward_hook(self.check_backward))

    def remove_layers(self) -> None:
        for handle in self.of_layers:
            handle.remove()
        self.of_layers = []

    def remove(self) -> None:
        self.remove_layers()
        for handle in self.of_model:
            handle.remove()

    def check(self, *ignored: Any) -> None:
        reason = self.stop()
        if reason is not None:
            raise PassStopped(reason)

    def begin_pass(self, *ignored: Any) -> None:
        """The time since the pass before is that of a pass, with its backward pass."""
        self.check()
        now = time.perf_counter()
        slow = self.began is None or now - self.began > SLOW
        self.began = now
        if slow and not self.of_layers:
            self.add_layers()
        elif not slow and self.of_layers:
            self.remove_layers()

    def check_backward(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Check again when the backward pass reaches this output."""
        if isinstance(output, Tensor) and output.requires_grad and torch.is_grad_enabled():
            output.register_hook(self.check)
