"""Several processes that train one network, on one machine or more.

    torchrun --nproc-per-node 2 -m sense.train ...

Each process has the whole network and the whole data set, and computes its part of every batch:
batches, their order and the random starts are those of a single process, and so is the result, but
for rounding (and for dropout, whose masks come from a stream of each process).
"""

import atexit
import functools
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .batch_norm import whole_batch_statistics
from .devices import check_threads, choose_device
from .errors import InputError, LostProcessError
from .random_numbers import Share, Streams, global_state, set_global_state, sharing

# Of a process that hangs, or a machine that is cut off; one that ends is noticed at once.
TIMEOUT = timedelta(minutes=10)

T = TypeVar("T")


class AgreedError(InputError):
    """An error that all processes end with, and of which another process tells."""


@dataclass(frozen=True)
class Part:
    """A process's part of a batch: positions in the training set, and how many images each process
    has. One without any takes the batch's first image, which counts for nothing, so that all
    processes make the same exchanges."""

    index: Tensor
    counts: list[int]
    rank: int

    @property
    def images(self) -> int:
        return self.counts[self.rank]

    @property
    def weight(self) -> float:
        """The part of the batch's mean that this process's mean is."""
        return self.images / sum(self.counts)

    @property
    def first(self) -> int:
        return sum(self.counts[: self.rank]) if self.images else 0


@dataclass
class Processes:
    """This process and the others. With a single one every method does the plain thing.

    Attributes
    ----------
    rank, size
        Which of how many processes this is; `leads` is rank 0, which writes and prints.
    local_rank, local_size
        The same among those on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    _streams: Streams | None = None
    _buffers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    # Before training

    def first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the leading process (tensors and plain values), in all of them."""
        if self.size == 1:
            return make()
        value, error = _attempt(make) if self.leads else (None, None)
        self._end_together(error)
        return cast(T, self._broadcast(value, 0))

    def each(self, make: Callable[[], T]) -> T:
        """What `make` gives in each process, one of each machine before the others, since it may
        download. An error of one, such as no file on the second machine, is one of all."""
        if self.size == 1:
            return make()
        value, error = _attempt(make) if self.local_rank == 0 else (None, None)
        self._end_together(error)
        if self.local_rank != 0:
            value, error = _attempt(make)
        self._end_together(error)
        return cast(T, value)

    def _end_together(self, error: Exception | SystemExit | None) -> None:
        """Raise where any process has an error. Bad input is told by the leading process, a fault
        by the process that has it, with its traceback; `AgreedError` is for all others."""
        fault = error is not None and not isinstance(error, InputError | SystemExit)
        told = None
        if error is not None:
            told = {"message": str(error), "exit": _exit_code(error), "fault": fault}
        others = [(rank, other) for rank, other in enumerate(self.gather(told)) if other]
        if not others:
            return
        if error is not None and (self.leads or fault):
            raise error
        rank, first = others[0]
        if first["exit"] is not None:
            raise SystemExit(first["exit"])
        if self.leads and not first["fault"]:
            raise InputError(f"process {rank} of {self.size}: {first['message']}")
        raise AgreedError(first["message"])

    def check_alike(self, what: str, sha256: str) -> None:
        """Raise ValueError where not all processes have the same."""
        found = self.gather(sha256)
        others = [f"process {r} has {other}" for r, other in enumerate(found) if other != found[0]]
        if others:
            error = InputError if self.leads else AgreedError
            raise error(f"the {what} must be the same: process 0 has {found[0]}, {others[0]}")

    def device(self, name: str) -> torch.device:
        """The device of that name; with several processes on a machine each has its own GPU."""
        if self.size == 1:
            return choose_device(name)
        kind, _, number = name.partition(":")
        if number and self.local_size > 1:
            raise InputError(
                f"device {name!r} is one for {self.local_size} processes: with --device {kind} "
                "each takes its own"
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
        """Use so many threads; unless given, with several processes, this one's part of the cores
        (torchrun itself sets one thread)."""
        if threads is None and self.size > 1:
            threads = max(1, _cores() // self.local_size)
        if threads is not None:
            torch.set_num_threads(check_threads(threads))

    def start_alike(self, model: nn.Module, seed: int, device: torch.device) -> None:
        """Give all processes the leading one's weights and random state, the latter as the stream
        of what is drawn for batches, and each process a stream of its own for the rest."""
        if self.size == 1:
            return
        model.load_state_dict(self._broadcast(model.state_dict(), 0))
        self._streams = Streams(device)
        self._streams.load_state(self._broadcast(self._streams.state(), 0))
        torch.manual_seed((seed + 1_000_003 * (self.rank + 1)) % 2**32)

    # In each step

    def part(self, index: Tensor) -> Part:
        """This process's part of a batch, which is given as positions in the training set."""
        parts = index.tensor_split(self.size)
        own = parts[self.rank]
        return Part(own if len(own) else index[:1], [len(part) for part in parts], self.rank)

    @contextmanager
    def at_work(self, part: Part, model: nn.Module) -> Iterator[None]:
        """Inside, random draws and batch norm are those of the whole batch."""
        if self._streams is None:
            yield
            return
        self._buffers = [(b, b.clone()) for b in model.buffers() if b.is_floating_point()]
        share = Share(part.first, len(part.index), sum(part.counts), self._streams)
        with sharing(share), whole_batch_statistics(model, part.counts, self.rank):
            yield

    @torch.no_grad()
    def join_gradients(self, model: nn.Module, part: Part) -> None:
        """Make each gradient the sum of all processes' gradients, and change floating-point buffers
        by the mean of all changes since `at_work` began.

        Not DistributedDataParallel: its wrapper exchanges buffers in each forward pass, of which
        the processes' attacks take different numbers, so that attacks would have to go round it.
        What it gains is to exchange while the backward pass goes on; but the exchange is under 1 %
        of a step with K = 10 (SmallCNN and ResNet-20, 16 images a process, two gloo processes).
        """
        if self.size == 1:
            return
        parameters = [p for p in model.parameters() if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        moves = [part.weight * (buffer - before) for buffer, before in self._buffers]
        used = parameters[0].new_tensor([p.grad is not None for p in parameters])
        pieces = [*gradients, *moves, used]
        dtypes = [piece.dtype for piece in pieces]
        dtype = functools.reduce(torch.promote_types, dtypes, torch.float32)
        flat = torch.cat([piece.reshape(-1).to(dtype) for piece in pieces])
        self._exchange(dist.all_reduce, flat)
        *sums, used = flat.split([piece.numel() for piece in pieces])
        for parameter, gradient, total, any_used in zip(
            parameters, gradients, sums, used.tolist(), strict=False
        ):
            # One that no process used has none, so that weight decay leaves it alone.
            gradient.copy_(total.view_as(gradient))
            parameter.grad = gradient if any_used else None
        for (buffer, before), total in zip(self._buffers, sums[len(parameters) :], strict=True):
            buffer.copy_(before + total.view_as(before))

    def sum(self, numbers: list[float]) -> list[float]:
        """The sums over all processes."""
        if self.size == 1:
            return numbers
        totals = torch.tensor(numbers, dtype=torch.float64)
        self._exchange(dist.all_reduce, totals)
        return totals.tolist()

    def agree(self, reason: int | None) -> int | None:
        """The first process's reason to stop that has one, so that all stop at the same step."""
        if self.size == 1:
            return reason
        reasons = [0.0] * self.size
        reasons[self.rank] = -1.0 if reason is None else float(reason)
        return next((int(other) for other in self.sum(reasons) if other >= 0), None)

    # To save and to go on

    def gather(self, value: T) -> list[T]:
        """Each process's value (tensors and plain values)."""
        if self.size == 1:
            return [value]
        return [self._broadcast(value, source) for source in range(self.size)]

    def random_state(self) -> dict[str, Any]:
        """All that is needed to draw the same again with as many processes."""
        own = global_state()
        if self._streams is None:
            return own
        return {**self._streams.state(), "random_of_each": self.gather(own)}

    def set_random_state(self, state: dict[str, Any]) -> None:
        """Go on from a `random_state`. With another number of processes, what is drawn for batches
        goes on, the rest begins anew."""
        if self._streams is None:
            set_global_state(state)
            return
        self._streams.load_state(state)
        own = state.get("random_of_each", [])
        if len(own) == self.size:
            set_global_state(own[self.rank])

    def _broadcast(self, value: T, source: int) -> T:
        """Tensors and plain values, as the bytes that torch.save makes: nothing is unpickled."""
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
        try:
            collective(*arguments)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise LostProcessError(
                f"process {self.rank} of {self.size} lost the others, one of which has ended or "
                f"hangs ({reason}): see what that one said, then go on with --resume"
            ) from error


def join() -> Processes:
    """The processes that torchrun started, or that this process is in a group with; else this one
    alone. A group that is made here ends with the process."""
    if not dist.is_available():
        return Processes()
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", 1)) == 1 or "MASTER_ADDR" not in os.environ:
            return Processes()
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        # What is exchanged in small goes by the processor's memory.
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=TIMEOUT)
        atexit.register(dist.destroy_process_group)
    rank, size = dist.get_rank(), dist.get_world_size()
    local = {name: os.environ.get(name) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    return Processes(
        rank, size, int(local["LOCAL_RANK"] or rank), int(local["LOCAL_WORLD_SIZE"] or size)
    )


def _attempt(make: Callable[[], T]) -> tuple[T | None, Exception | SystemExit | None]:
    """What `make` gives, or the error that it ends with."""
    try:
        return make(), None
    except (Exception, SystemExit) as error:
        return None, error


def _exit_code(error: Exception | SystemExit) -> int | None:
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else None


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
