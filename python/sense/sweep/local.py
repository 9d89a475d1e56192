"""The runner of this machine: a number of cells at once, each in processes of its own."""

import os
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import torch

from ..devices import available_cores
from .work import Outcome, Stop, Task, work

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Runner(Protocol):
    """An engine that works on cells: this machine, Slurm or Ray."""

    workers: int | None  # cells at once, None if the engine decides
    threads: int  # CPU threads of a cell that does not set them

    def start(self, tasks: Sequence[Task]) -> None:
        """Begin to work on these cells, in their order."""

    def ended(self, seconds: float) -> list[tuple[Task, Outcome]]:
        """Return the cells whose work has ended since the last call. Waits for the first of them at
        most this long."""

    def stop(self, how: Stop) -> None:
        """End all that runs; what has not begun does not begin. The cells still come out of
        `ended`."""

    def close(self) -> None:
        """Release what the engine holds, at the end."""


class LocalRunner:
    """Works on `workers` cells at once.

    Default: as many as there are cores, or on a machine with GPUs one per GPU.
    """

    def __init__(self, workers: int | None = None) -> None:
        gpus = visible_gpus()
        count = workers or len(gpus) or available_cores()
        self.workers: int | None = count
        self.threads = max(1, available_cores() // count)
        self._pool = ThreadPoolExecutor(count)
        self._ended: queue.Queue[tuple[Task, Outcome]] = queue.Queue()
        self._stop = Stop.NO
        self._gpus: queue.Queue[str] = queue.Queue()
        for worker in range(count if gpus else 0):
            self._gpus.put(gpus[worker % len(gpus)])

    def start(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._pool.submit(self._work, task)

    def ended(self, seconds: float) -> list[tuple[Task, Outcome]]:
        try:
            found = [self._ended.get(timeout=seconds)]
        except queue.Empty:
            return []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def stop(self, how: Stop) -> None:
        self._stop = max(self._stop, how)

    def close(self) -> None:
        self._pool.shutdown()

    def _work(self, task: Task) -> None:
        gpu = self._gpus.get() if self._gpus.qsize() else None
        try:
            if gpu is not None:
                task = replace(task, environment={**task.environment, VISIBLE: gpu})
            outcome = work(task, lambda: self._stop)
        except BaseException as error:
            outcome = Outcome("failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            if gpu is not None:
                self._gpus.put(gpu)
            self._ended.put((task, outcome))


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    named = os.environ.get(VISIBLE, "").split(",")
    count = torch.cuda.device_count()
    return (
        [name.strip() for name in named[:count]] if named != [""] else list(map(str, range(count)))
    )
