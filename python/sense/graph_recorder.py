"""What records functions as CUDA graphs, and what finds out whether a function can be recorded."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Replay = Callable[[], object]
T = TypeVar("T")

# Operations that give Python a number, or a shape that depends on numbers.
READS = {
    f"aten::{name}"
    for name in (
        "_local_scalar_dense",
        "nonzero",
        "nonzero_static",
        "masked_select",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "equal",
    )
}


class CannotRecordError(Exception):
    """The function cannot be recorded as a graph; the message says why."""


class Recorder(Protocol):
    """What records functions without arguments that read and write tensors at fixed addresses."""

    def warm_up(self, run: Replay) -> None:
        """Run before recording, outside of the stream that is used otherwise."""

    def new_pool(self) -> Any:
        """Return a pool of memory for the temporary tensors of recorded functions."""

    def record(self, run: Replay, pool: Any) -> Replay:
        """Return what replays the kernels of `run`. Its temporary tensors may lie where those of
        other functions with the same pool do."""

    def random_state(self) -> Any:
        """Return the random state of the device."""

    def set_random_state(self, state: Any) -> None:
        """Restore it."""


class CudaRecorder:
    """Records CUDA graphs on a side stream."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def warm_up(self, run: Replay) -> None:
        """A function that makes Python wait for the device raises RuntimeError."""
        current, mode = torch.cuda.current_stream(self.device), torch.cuda.get_sync_debug_mode()
        self.stream.wait_stream(current)
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.cuda.stream(self.stream):
                run()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
            current.wait_stream(self.stream)

    def new_pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def record(self, run: Replay, pool: Any) -> Replay:
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer block restores the stream also where recording ends with an error.
            with (
                torch.cuda.stream(torch.cuda.current_stream(self.device)),
                torch.cuda.graph(graph, pool=pool, stream=self.stream),
            ):
                run()
        except Exception:
            # torch leaves the allocator in the state of recording.
            with suppress(Exception):
                torch._C._cuda_endAllocateToPool(self.stream.device_index, pool)
            raise
        return graph.replay

    def random_state(self) -> Tensor:
        return torch.cuda.get_rng_state(self.device)

    def set_random_state(self, state: Tensor) -> None:
        torch.cuda.set_rng_state(state, self.device)


class Watch(TorchDispatchMode):
    """Notes each operation with its shapes. Raises CannotRecordError where Python reads a value of
    a tensor: a graph would repeat what followed from the value at the time of recording."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, ...]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func._schema.name
        indices = args[1] if name in ("aten::index", "aten::index_put", "aten::index_put_") else ()
        masks = any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in indices)
        if masks or name in READS:
            raise CannotRecordError(f"Python reads values of a tensor ({name.split('::')[1]})")
        out = func(*args, **(kwargs or {}))
        shapes = tuple(tuple(a.shape) for a in args if isinstance(a, Tensor))
        self.operations.append((str(func), shapes))
        return out


def checked(function: Callable[[], T]) -> T:
    """Return what the function returns. Raises CannotRecordError if Python reads values in it, or
    if two calls do different operations."""
    seen = []
    for _ in range(2):
        with Watch() as watch:
            result = function()
        seen.append(watch.operations)
    if seen[0] != seen[1]:
        raise CannotRecordError("two calls with the same images did different operations")
    return result
