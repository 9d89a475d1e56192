"""CUDA graphs: functions of tensors that are recorded once and launched as a whole.

A network of many small kernels is limited by the time in which Python launches them. A CUDA graph
launches all of them at once. Use it in one of two ways:

    network = precision.graphed(network)        # a module: each pass is one or two graphs
    logits = network(x)                         # with or without gradients, in any mode

    z, loss = network.graphs.run("step", step, z, x, y)    # a function of tensors is one graph

A function is recorded when it is run for the second time with the same kind, the same shapes and
the same mode of the network. What cannot be recorded is computed as usual, and a note says why.

Replays read the weights where they are, so that updates in place (optimizers, `load_state_dict`)
are seen. Weights that have moved are noticed, and all is recorded again. Python code of the network
(hooks included) runs when it is recorded, not in replays. Random numbers in a graph come from the
generator of the device, as usual.
"""

import copy
import sys
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from .graph_recorder import CannotRecordError, Recorder, Replay, checked
from .random_numbers import cpu_state, same_cpu_state, set_cpu_state

Function = Callable[..., tuple[Tensor, ...]]

WARM_UP = 2  # runs on the side stream before recording: libraries set themselves up in the first
LIMIT = 64  # graphs of a network; each keeps its memory
OUTSTANDING = 4  # passes of one kind that wait for their backward pass at the same time


@dataclass
class Graph:
    """A recorded function with its static inputs and outputs."""

    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]
    replay: Replay

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        if self.inputs:
            with torch.no_grad():
                torch._foreach_copy_(self.inputs, list(inputs))
        self.replay()
        return self.outputs


@dataclass
class Passes:
    """A recorded pass of a network and its backward pass.

    Attributes
    ----------
    x, logits
        Static images and logits.
    gradient, gradients
        Static gradient of the logits; gradients of the images and the parameters, None for those
        that have none.
    passes
        Number of forward passes: a backward pass belongs to the latest.
    waiting
        The latest forward pass while its backward pass may still come.
    """

    x: Tensor
    logits: Tensor
    gradient: Tensor
    gradients: list[Tensor | None]
    forward: Replay
    backward: Replay
    passes: int = 0
    waiting: "weakref.ref[ForwardPass] | None" = None

    @property
    def is_waiting(self) -> bool:
        return self.waiting is not None and self.waiting() is not None

    def run_forward(self, x: Tensor) -> tuple[Tensor, "ForwardPass"]:
        self.x.copy_(x)
        self.forward()
        self.passes += 1
        one = ForwardPass(self.passes)
        self.waiting = weakref.ref(one)
        return self.logits.clone(), one

    def run_backward(self, gradient: Tensor, one: "ForwardPass") -> list[Tensor | None]:
        if one.number != self.passes:
            raise RuntimeError(
                "a second backward pass through a network in CUDA graphs came after its next "
                "forward pass: use cuda_graphs off"
            )
        self.waiting = None
        self.gradient.copy_(gradient)
        self.backward()
        # Copies, by few kernels: the next replay writes to the same memory.
        copies = iter(torch._foreach_mul([g for g in self.gradients if g is not None], 1.0))
        return [None if g is None else next(copies) for g in self.gradients]


@dataclass
class ForwardPass:
    """A forward pass of a `Passes`, which lives as long as its autograd graph."""

    number: int


def print_note(text: str) -> None:
    """Print a note on stderr."""
    print(f"note: {text}", file=sys.stderr, flush=True)


@dataclass
class Graphs:
    """The recorded functions of a network.

    Parameters
    ----------
    network
        The network whose parameters and buffers the functions read.
    recorder
        What records them.
    record_at
        The use of a function, counted from 1, at which it is recorded.
    compacts
        Whether the sensible attack removes finished images, by graphs of a few sizes.
    note
        Called with a sentence for each reason for which something was not recorded.
    """

    network: nn.Module
    recorder: Recorder
    record_at: int = 2
    compacts: bool = False
    note: Callable[[str], None] = print_note
    is_recording: bool = False
    refused: dict[Hashable, str] = field(default_factory=dict)
    recorded: dict[Hashable, Any] = field(default_factory=dict)
    _uses: dict[Hashable, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._modules = list(self.network.modules())
        self._addresses = self._current_addresses()
        self._pool = self.recorder.new_pool()

    def run(self, kind: Hashable, function: Function, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what `function` returns for these tensors, without gradients.

        Parameters
        ----------
        kind
            Names the function with everything it depends on except its inputs, the weights and the
            mode of the network: of two functions with one kind, only the first is recorded.
        function
            Takes and returns tensors. It may call the network and compute gradients, and it changes
            none of its inputs.

        Returns
        -------
        Tensors that the next run with the same kind and shapes overwrites.
        """
        self._forget_if_moved()
        key = self._key(kind, inputs)
        graph = self._find(key, kind, lambda: self._record(function, inputs))
        return function(*inputs) if graph is None else graph(inputs)

    def logits(self, x: Tensor, images_only: bool) -> Tensor:
        """Return the logits of the network for images x, with a backward pass.

        `images_only`: the backward pass gives the gradient of the images and of no parameter.
        """
        parameters = (
            [] if images_only else [p for p in self.network.parameters() if p.requires_grad]
        )
        if x.requires_grad or parameters:
            self._forget_if_moved()
            kind = "backward", images_only, x.requires_grad, *map(id, parameters)
            for number in range(OUTSTANDING):
                key = self._key((*kind, number), (x,))
                graph = self._find(key, kind, lambda: self._record_passes(x, parameters))
                if graph is None:
                    break
                if not graph.is_waiting:
                    return _Pass.apply(graph, x, *parameters)
        return self.network(x)

    def _key(self, kind: Hashable, inputs: Sequence[Tensor]) -> Hashable:
        modes = tuple(module.training for module in self._modules)
        shapes = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        return kind, shapes, modes, torch.is_grad_enabled()

    def _forget_if_moved(self) -> None:
        """Forget all that was recorded with weights at other addresses."""
        addresses = self._current_addresses()
        if addresses != self._addresses:
            self.recorded.clear()
            self._addresses = addresses

    def _find(self, key: Hashable, kind: Hashable, record: Callable[[], Any]) -> Any:
        """Return the graph of the key, recorded now if it is time; None if there is none."""
        graph = self.recorded.get(key)
        if graph is not None or kind in self.refused or self.is_recording:
            return graph
        self._uses[key] = self._uses.get(key, 0) + 1
        if self._uses[key] < self.record_at or len(self.recorded) >= LIMIT:
            return None
        try:
            with self._recording():
                graph = record()
        except Exception as error:
            # Whatever is wrong with the function itself is reported when it is run as usual.
            self._refuse(kind, str(error).strip().split("\n")[0] or type(error).__name__)
            return None
        self.recorded[key] = graph
        return graph

    def _refuse(self, kind: Hashable, reason: str) -> None:
        if reason not in self.refused.values():
            self.note(f"a pass of the network is not run as a CUDA graph: {reason}")
        self.refused[kind] = reason

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Inside, functions may be run for trial: buffers and random states are restored. Raises
        CannotRecordError if random numbers came from elsewhere than the device."""
        buffers = list(self.network.buffers())
        saved = [buffer.clone() for buffer in buffers]
        device_state, outside = self.recorder.random_state(), cpu_state()
        self.is_recording = True
        try:
            with _unsafe_preserve_version_counter(tuple(buffers)):
                try:
                    yield
                finally:
                    with torch.no_grad():
                        for buffer, value in zip(buffers, saved, strict=True):
                            buffer.copy_(value)
        finally:
            self.is_recording = False
            self.recorder.set_random_state(device_state)
            changed = not same_cpu_state(cpu_state(), outside)
            set_cpu_state(outside)
        if changed:
            raise CannotRecordError("the network draws random numbers outside of the device")

    def _record(self, function: Function, inputs: Sequence[Tensor]) -> Graph:
        static = [tensor.detach().clone() for tensor in inputs]
        outputs = tuple(
            torch.empty_like(tensor.detach()) for tensor in checked(lambda: function(*static))
        )

        def run() -> None:
            found = function(*static)
            with torch.no_grad():
                for output, tensor in zip(outputs, found, strict=True):
                    output.copy_(tensor)

        for _ in range(WARM_UP):
            self.recorder.warm_up(run)
        return Graph(static, outputs, self.recorder.record(run, self._pool))

    def _record_passes(self, x: Tensor, parameters: Sequence[nn.Parameter]) -> Passes:
        static = x.detach().clone().requires_grad_(x.requires_grad)
        # Each parameter is replaced by a tensor at the same address: its hooks belong to the outer
        # backward pass, and nodes of an outer autograd graph would tie the side stream to another.
        needed = set(map(id, parameters))
        alias, by_id = {}, {}
        for name, parameter in self.network.named_parameters():
            alias[name] = parameter.detach().requires_grad_(id(parameter) in needed)
            by_id[id(parameter)] = alias[name]
        wanted = [by_id[id(parameter)] for parameter in parameters]
        if x.requires_grad:
            wanted.insert(0, static)

        def call() -> Tensor:
            with torch.enable_grad():
                logits: Tensor = torch.func.functional_call(self.network, alias, (static,))
            return logits

        def gradients_of(logits: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
            # retain_graph, so that no kernel is recorded into the memory of the activations.
            return torch.autograd.grad(
                logits, wanted, gradient, retain_graph=True, allow_unused=True
            )

        def trial() -> tuple[Tensor, tuple[Tensor | None, ...]]:
            found = call()
            return found, gradients_of(found, torch.ones_like(found))

        last, found = checked(trial)
        logits, gradient = last.detach().clone(), torch.ones_like(last)
        gradients = [None if g is None else torch.empty_like(g) for g in found]

        def forward() -> None:
            nonlocal last
            last = call()
            logits.copy_(last.detach())

        def backward() -> None:
            for output, tensor in zip(gradients, gradients_of(last, gradient), strict=True):
                if output is not None and tensor is not None:
                    output.copy_(tensor)

        def both() -> None:
            forward()
            backward()

        for _ in range(WARM_UP):
            self.recorder.warm_up(both)
        pool = self.recorder.new_pool()
        replays = self.recorder.record(forward, pool), self.recorder.record(backward, pool)
        first = [] if x.requires_grad else [None]
        return Passes(static, logits, gradient, [*first, *gradients], *replays)

    def _current_addresses(self) -> tuple[int, ...]:
        """Return the addresses of all parameters and buffers."""
        return tuple(
            tensor.data_ptr()
            for module in self._modules
            for tensors in (module._parameters, module._buffers)
            for tensor in tensors.values()
            if tensor is not None
        )


class _Pass(torch.autograd.Function):
    """A pass of a network in a `Passes`, for autograd."""

    @staticmethod
    def forward(ctx: Any, graph: Passes, x: Tensor, *parameters: Tensor) -> Tensor:
        logits, ctx.one = graph.run_forward(x)
        ctx.graph = graph
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *ctx.graph.run_backward(gradient, ctx.one))


class GraphedNetwork(nn.Module):
    """A network whose passes are CUDA graphs. Modes, parameters and buffers are those of `network`;
    a copy of it is a copy of `network`.

    Parameters
    ----------
    network
        Takes images and returns logits.
    graphs
        Its recorded functions.
    images_only
        Returns whether only gradients of images are needed now, as in an attack.
    """

    def __init__(self, network: nn.Module, graphs: Graphs, images_only: Callable[[], bool]) -> None:
        super().__init__()
        self.network, self.graphs, self.images_only = network, graphs, images_only

    def forward(self, x: Tensor) -> Tensor:
        if self.graphs.is_recording:
            logits: Tensor = self.network(x)
            return logits
        if torch.is_grad_enabled():
            return self.graphs.logits(x, self.images_only())
        return self.graphs.run("forward", lambda x: (self.network(x),), x)[0].clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        return copy.deepcopy(self.network, memo)


def graphs_of(model: nn.Module) -> Graphs | None:
    """Return the recorded functions of a network in CUDA graphs; None for another network."""
    return model.graphs if isinstance(model, GraphedNetwork) else None
