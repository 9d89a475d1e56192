"""Several processes that train one network, on one machine or on several.

    torchrun --nproc-per-node 2 -m sense.train ...

Each process holds the whole network and the whole data set and computes its shard of every batch.
The batches, their order and the random starts are those of a single process, and so is the result,
up to rounding. (Dropout is the exception: each process draws its own masks.)

`train` calls the same methods with one process and with several: those of `OneProcess`, which do
the plain thing, or those of `SeveralProcesses`.
"""

import atexit
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .batch_norm import whole_batch_statistics
from .devices import available_cores, choose_device, set_threads
from .errors import InputError, LostProcessError
from .methods import Batch, Method, Step
from .random_numbers import (
    BatchShare,
    SharedGenerators,
    global_state,
    set_global_state,
    shared_batch,
)

# For a process that hangs or a machine that is cut off. A process that ends is noticed at once.
TIMEOUT = timedelta(minutes=10)

T = TypeVar("T")
ComputeStep = Callable[[Method, Batch, float], Step]


class ErrorElsewhere(InputError):  # noqa: N818  nothing is wrong in this process
    """Another process has an error and reports it; this one ends too."""


@dataclass(frozen=True)
class Shard:
    """A process's shard of a batch.

    Attributes
    ----------
    index
        Positions of its images in the training set. A process without an image takes the first
        one of the batch, with weight 0, so that all processes take part in every exchange.
    counts
        Number of images of each process.
    rank
        Which of the processes this is.
    """

    index: Tensor
    counts: list[int]
    rank: int

    @property
    def images(self) -> int:
        return self.counts[self.rank]

    @property
    def weight(self) -> float:
        """Weight of the shard's mean in the mean of the batch."""
        return self.images / sum(self.counts)

    @property
    def first(self) -> int:
        """Position of the shard's first image in the batch."""
        return sum(self.counts[: self.rank]) if self.images else 0


@dataclass
class OneProcess:
    """A single process: every method does the plain thing.

    Attributes
    ----------
    rank, size
        Which process this is, and the number of processes. The first one writes and prints.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    # Before training

    def on_first_process(self, make: Callable[[], T]) -> T:
        """Return in all processes what `make` returns in the first one."""
        return make()

    def on_every_process(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in this process. An error in one process ends all."""
        return make()

    def check_same(self, what: str, value: str) -> None:
        """Raise InputError unless all processes have the same value."""

    def choose_device(self, name: str) -> torch.device:
        return choose_device(name)

    def set_threads(self, threads: int | None) -> None:
        """Set the number of CPU threads; None leaves it as it is."""
        if threads is not None:
            set_threads(threads)

    def synchronize(self, model: nn.Module, seed: int, device: torch.device) -> None:
        """Give all processes the weights and the random numbers of the first."""

    def attach(self, network: nn.Module) -> ComputeStep:
        """Return the function that computes a training step of the network by a method."""
        return partial(_step, network)

    # In each step

    def own_part(self, index: Tensor) -> Tensor:
        """Return this process's part of the batch at these positions."""
        return index

    @contextmanager
    def whole_batch(self, index: Tensor, model: nn.Module) -> Iterator[Shard]:
        """Give this process's shard of the batch at these positions of the training set. Inside,
        random numbers and batch norm are those of the whole batch."""
        yield Shard(index, [len(index)], 0)

    def backward(self, loss: Tensor, shard: Shard) -> None:
        """Compute the gradients of the batch's mean loss from this shard's mean loss."""
        loss.backward()

    def sum(self, numbers: list[float]) -> list[float]:
        """Return the sums over all processes."""
        return numbers

    def sum_tensors(self, tensors: list[Tensor]) -> list[Tensor]:
        """Return the sums of tensors of one device over all processes."""
        return tensors

    def agree(self, reason: int | None) -> int | None:
        """Return the reason to stop of the first process that has one, so that all processes stop
        after the same step."""
        return reason

    # Checkpoints

    def gather(self, value: T) -> list[T]:
        """Return each process's value (tensors and plain values)."""
        return [value]

    def random_state(self) -> dict[str, Any]:
        return global_state()

    def set_random_state(self, state: dict[str, Any]) -> None:
        set_global_state(state)


@dataclass
class SeveralProcesses(OneProcess):
    """This process and the others of a torch process group.

    Attributes
    ----------
    local_rank, local_size
        As `rank` and `size`, among the processes on this machine.
    """

    local_rank: int = 0
    local_size: int = 1
    _generators: SharedGenerators | None = None
    _buffers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def on_first_process(self, make: Callable[[], T]) -> T:
        value, error = _attempt(make) if self.is_first else (None, None)
        self._raise_everywhere(error)
        return cast(T, self._broadcast(value, 0))

    def on_every_process(self, make: Callable[[], T]) -> T:
        """One process of each machine goes before the others, since it may download."""
        value, error = _attempt(make) if self.local_rank == 0 else (None, None)
        self._raise_everywhere(error)
        if self.local_rank != 0:
            value, error = _attempt(make)
        self._raise_everywhere(error)
        return cast(T, value)

    def _raise_everywhere(self, error: Exception | SystemExit | None) -> None:
        """Raise an error in all processes if one has an error. Bad input is reported by the first
        process; any other error by the process that has it, with its traceback."""
        fault = error is not None and not isinstance(error, InputError | SystemExit)
        report = None
        if error is not None:
            report = {"message": str(error), "exit": _exit_code(error), "fault": fault}
        reports = [(rank, other) for rank, other in enumerate(self.gather(report)) if other]
        if not reports:
            return
        if error is not None and (self.is_first or fault):
            raise error
        rank, first = reports[0]
        if first["exit"] is not None:
            raise SystemExit(first["exit"])
        if self.is_first and not first["fault"]:
            raise InputError(f"process {rank} of {self.size}: {first['message']}")
        raise ErrorElsewhere(first["message"])

    def check_same(self, what: str, value: str) -> None:
        values = self.gather(value)
        others = [f"process {r} has {v}" for r, v in enumerate(values) if v != values[0]]
        if others:
            error = InputError if self.is_first else ErrorElsewhere
            raise error(f"the {what} must be the same: process 0 has {values[0]}, {others[0]}")

    def choose_device(self, name: str) -> torch.device:
        """Each process on a machine has its own GPU."""
        kind, _, number = name.partition(":")
        if number and self.local_size > 1:
            raise InputError(
                f"device {name!r} cannot be shared by {self.local_size} processes: --device {kind} "
                "gives each its own"
            )
        if kind == "auto":
            kind = "cuda" if torch.cuda.is_available() else "cpu"
        if kind not in ("cpu", "cuda"):
            raise InputError(f"several processes need the device cpu or cuda, got {name!r}")
        if kind == "cpu" or number:
            return choose_device(f"{kind}:{number}" if number else kind)
        device = choose_device(f"cuda:{self.local_rank}")
        torch.cuda.set_device(device)
        return device

    def set_threads(self, threads: int | None) -> None:
        """None divides the cores among the processes (torchrun sets one thread each)."""
        super().set_threads(
            max(1, available_cores() // self.local_size) if threads is None else threads
        )

    def synchronize(self, model: nn.Module, seed: int, device: torch.device) -> None:
        """The random numbers of the first become the shared generators, which batches are drawn
        with. For all else each process has its own stream."""
        model.load_state_dict(self._broadcast(model.state_dict(), 0))
        self._generators = SharedGenerators(device)
        self._generators.load_state(self._broadcast(self._generators.state(), 0))
        torch.manual_seed((seed + 1_000_003 * (self.rank + 1)) % 2**32)

    def attach(self, network: nn.Module) -> ComputeStep:
        """The network and the loss in torch's DistributedDataParallel, which exchanges gradients
        in the backward pass. Attacks call the bare network inside it: processes may take different
        numbers of steps."""
        with warnings.catch_warnings(), _lost_processes(self):
            # A newer torch asks for forward_sync_buffers, which an older one does not know.
            warnings.simplefilter("ignore", FutureWarning)
            return nn.parallel.DistributedDataParallel(
                _Loss(network), broadcast_buffers=False, find_unused_parameters=True
            )

    def own_part(self, index: Tensor) -> Tensor:
        own = index.tensor_split(self.size)[self.rank]
        return own if len(own) else index[:1]

    @contextmanager
    def whole_batch(self, index: Tensor, model: nn.Module) -> Iterator[Shard]:
        assert self._generators is not None
        counts = [len(images) for images in index.tensor_split(self.size)]
        own = self.own_part(index)
        shard = Shard(own, counts, self.rank)
        self._buffers = [(b, b.clone()) for b in model.buffers() if b.is_floating_point()]
        share = BatchShare(shard.first, len(own), len(index), self._generators)
        with shared_batch(share), whole_batch_statistics(model, shard.counts, self.rank):
            yield shard

    def backward(self, loss: Tensor, shard: Shard) -> None:
        with _lost_processes(self):
            # DistributedDataParallel takes the mean of the gradients over the processes.
            (self.size * shard.weight * loss).backward()
        self._average_buffers(shard)

    @torch.no_grad()
    def _average_buffers(self, shard: Shard) -> None:
        """Change floating-point buffers by the weighted mean of the processes' changes since
        `whole_batch` began: an attack in training mode may have updated running statistics."""
        if not self._buffers:
            return
        changes = [shard.weight * (buffer - before) for buffer, before in self._buffers]
        means = self.sum_tensors([change.double() for change in changes])
        for (buffer, before), mean in zip(self._buffers, means, strict=True):
            buffer.copy_(before + mean.to(before))

    def sum(self, numbers: list[float]) -> list[float]:
        totals = torch.tensor(numbers, dtype=torch.float64)
        self._exchange(dist.all_reduce, totals)
        return totals.tolist()

    def sum_tensors(self, tensors: list[Tensor]) -> list[Tensor]:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._exchange(dist.all_reduce, flat)
        sums = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor).to(tensor) for part, tensor in zip(sums, tensors, strict=True)]

    def agree(self, reason: int | None) -> int | None:
        reasons = [0.0] * self.size
        reasons[self.rank] = -1.0 if reason is None else float(reason)
        return next((int(other) for other in self.sum(reasons) if other >= 0), None)

    def gather(self, value: T) -> list[T]:
        return [self._broadcast(value, source) for source in range(self.size)]

    def random_state(self) -> dict[str, Any]:
        """All that the same number of processes needs to draw the same numbers again."""
        assert self._generators is not None
        return {**self._generators.state(), "random_of_each": self.gather(global_state())}

    def set_random_state(self, state: dict[str, Any]) -> None:
        """With another number of processes the shared generators are restored and the processes'
        own generators start again."""
        assert self._generators is not None
        self._generators.load_state(state)
        own = state.get("random_of_each", [])
        if len(own) == self.size:
            set_global_state(own[self.rank])

    def _broadcast(self, value: T, source: int) -> T:
        """Tensors and plain values, as the bytes of torch.save: nothing is unpickled."""
        buffer = io.BytesIO()
        if self.rank == source:
            torch.save(value, buffer)
        length = torch.tensor([buffer.tell()])
        self._exchange(dist.broadcast, length, source)
        content = torch.empty(int(length), dtype=torch.uint8)
        if self.rank == source:
            content = torch.frombuffer(bytearray(buffer.getbuffer()), dtype=torch.uint8)
        self._exchange(dist.broadcast, content, source)
        received = io.BytesIO(content.numpy().tobytes())
        return torch.load(received, map_location="cpu", weights_only=True)

    def _exchange(self, collective: Callable[..., object], *arguments: object) -> None:
        with _lost_processes(self):
            collective(*arguments)


class _Loss(nn.Module):
    """A training step as a module's forward pass, for DistributedDataParallel.

    The whole step is one forward pass, so that a method may pass images through the network
    several times, and use some parameters in one pass and not in another. Around the network alone
    DistributedDataParallel raises "Expected to mark a variable ready only once" for TRADES, MART,
    MMA and R-AT with a natural loss, where a network leaves out layers at random.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        # DistributedDataParallel warns on stderr where it searches for unused parameters and finds
        # none; this one is never used.
        device = next(network.parameters()).device
        self.unused = nn.Parameter(torch.zeros(1, device=device))

    def forward(self, method: Method, batch: Batch, epoch: float) -> Step:
        return _step(self.network, method, batch, epoch)


def _step(network: nn.Module, method: Method, batch: Batch, epoch: float) -> Step:
    return method(network, batch, epoch)


@contextmanager
def _lost_processes(processes: OneProcess) -> Iterator[None]:
    """Inside, a lost connection to another process raises LostProcessError."""
    try:
        yield
    except RuntimeError as error:
        message = str(error)  # such as "[../gloo/transport/tcp/pair.cc:534] Connection closed"
        words = ("gloo", "connection", "timed out", "timeout")
        if not isinstance(error, dist.DistError) and not any(w in message.lower() for w in words):
            raise
        raise LostProcessError(
            f"process {processes.rank} of {processes.size} lost the others: one has ended or hangs "
            f"({message.splitlines()[0]}). See its message, then resume with --resume"
        ) from error


def join_group() -> OneProcess:
    """Return the processes that torchrun started, or those of a group that this process is in;
    otherwise this process alone. A group that is made here ends with the process."""
    if not dist.is_available():
        return OneProcess()
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", 1)) == 1 or "MASTER_ADDR" not in os.environ:
            return OneProcess()
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        # Small values are exchanged in the CPU's memory.
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=TIMEOUT)
        atexit.register(dist.destroy_process_group)
    rank, size = dist.get_rank(), dist.get_world_size()
    local = {name: os.environ.get(name) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    return SeveralProcesses(
        rank, size, int(local["LOCAL_RANK"] or rank), int(local["LOCAL_WORLD_SIZE"] or size)
    )


def _attempt(make: Callable[[], T]) -> tuple[T | None, Exception | SystemExit | None]:
    """Return what `make` returns, or the error that it raises."""
    try:
        return make(), None
    except (Exception, SystemExit) as error:
        return None, error


def _exit_code(error: Exception | SystemExit) -> int | None:
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else None
