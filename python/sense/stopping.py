"""Stopping an attack between two passes through the network, or within a slow one.

An attack may take minutes. `stoppable` makes the network check for a signal whenever it is called,
so that every attack can be stopped, also one of another package.
"""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from .training_state import TrainingState

Stop = Callable[[], int | None]

SLOW = 0.5  # seconds; if a pass takes longer, every layer checks for a signal
SLOW_STEP = 0.1  # seconds; after a step of training that took longer, the next is prepared for it
PATIENCE = 2.0  # seconds in which a batch or a step may be completed


class PassStopped(BaseException):
    """A pass through the network was stopped; `reason` is what `stop` returned."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def stoppable(model: nn.Module, stop: Stop) -> Iterator[None]:
    """Inside, a forward or backward pass of the model raises `PassStopped` once `stop()` returns a
    number: at its beginning and, while passes are slow (the first one counts as slow), at each
    layer. Results and gradients are the same. Nothing is checked inside a scripted network."""
    checks = _Checks(model, stop)
    try:
        yield
    finally:
        checks.remove()


class _Checks:
    """The hooks of a model that check for a signal."""

    def __init__(self, model: nn.Module, stop: Stop) -> None:
        self.model, self.stop = model, stop
        self.began: float | None = None
        self.of_layers: list[RemovableHandle] = []
        self.of_model: list[RemovableHandle] = []
        if isinstance(model, torch.jit.ScriptModule):
            return  # it takes no hooks, and only the end of a batch can stop it
        self.of_model = [
            model.register_forward_pre_hook(self.begin_pass),
            model.register_forward_hook(self.check_backward),
        ]
        self.add_layers()

    def add_layers(self) -> None:
        layers = [
            module
            for module in self.model.modules()
            if module is not self.model
            and not any(True for _ in module.children())
            and not isinstance(module, torch.jit.ScriptModule)
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


class StoppingPoint:
    """Interrupts a slow step of training by one process on a CPU: on a GPU a step is short, and of
    several processes all have to end the step. A context manager.

    `set` marks the state that `restore` returns to: before each step, and before the accuracies of
    an epoch. While steps are fast it marks nothing, and the step is completed; so is one that takes
    less than `PATIENCE`.
    """

    def __init__(self, state: "TrainingState", device: torch.device, stop: Stop) -> None:
        self.state, self.stop = state, stop
        self.possible = device.type == "cpu" and state.processes.size == 1
        self.saved: dict[str, Any] | None = None
        self.last: float | None = None
        self.hooks = ExitStack()

    def __enter__(self) -> None:
        if self.possible:
            for network in dict.fromkeys((self.state.model, self.state.result)):
                self.hooks.enter_context(stoppable(network, self.stop_if_restorable))

    def __exit__(self, *error: object) -> None:
        self.hooks.close()

    def stop_if_restorable(self) -> int | None:
        if self.saved is None or self.last is None or time.perf_counter() < self.last + PATIENCE:
            return None
        return self.stop()

    def set(self) -> None:
        now = time.perf_counter()
        slow = self.last is None or now - self.last > SLOW_STEP
        self.last, self.saved = now, None
        if self.possible and slow:
            # All that a step changes before its last update of the weights, which is completed.
            self.saved = {
                "progress": self.state.progress.copy(),
                "model": copy.deepcopy(self.state.model.state_dict()),
                "method": copy.deepcopy(self.state.method.state_dict()),
                "random": self.state.processes.random_state(),
            }
            if self.state.method.replays > 1:  # the earlier updates of the step
                self.saved["optimizer"] = copy.deepcopy(self.state.optimizer.state_dict())
                if self.state.average is not None:
                    self.saved["average"] = copy.deepcopy(self.state.average.state_dict())

    def clear(self) -> None:
        """From here on the step is completed."""
        self.saved = None

    def restore(self) -> None:
        assert self.saved is not None
        self.state.progress = self.saved["progress"]
        self.state.model.load_state_dict(self.saved["model"])
        self.state.method.load_state_dict(self.saved["method"])
        self.state.processes.set_random_state(self.saved["random"])
        if "optimizer" in self.saved:
            self.state.optimizer.load_state_dict(self.saved["optimizer"])
        if "average" in self.saved and self.state.average is not None:
            self.state.average.load_state_dict(self.saved["average"])
