"""The runner of a cluster of Ray. Everything between the machines is Ray's.

If a worker or its machine dies, Ray gives the cell to another, which resumes it from its last
checkpoint. If the head dies, Ray ends this process after a minute; start the cluster again, then
the sweep, which resumes.
"""

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..errors import InputError, MissingPackageError
from .work import Outcome, Stop, Task, note_failure, work

RESTARTS = 3  # how often Ray gives the cell of a worker that died to another


class RayRunner:
    """Works on cells on a cluster of Ray.

    Parameters
    ----------
    workers
        Maximum number of cells at once. Default: as many as there are cores for.
    threads, gpus
        CPU cores and GPUs of each cell; part of a GPU is possible.
    address
        Of the head, HOST:PORT. Default: the environment variable RAY_ADDRESS, or else the cluster
        that this machine belongs to. A connection that is open is used.

    Raises
    ------
    InputError
        If Ray is missing here, or there is no such cluster, or no machine with so many cores.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int = 1,
        *,
        gpus: float = 0,
        address: str | None = None,
    ) -> None:
        self.workers, self.threads = workers, threads
        self._ray = _ray()
        self._waiting: deque[Task] = deque()
        self._running: dict[Any, Task] = {}
        self._stop = Stop.NO
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._connect(address or os.environ.get("RAY_ADDRESS") or "auto")
        self._check_room(threads, gpus)
        # The workers find this package by the sys.path of this process, which Ray gives them.
        options = {"num_cpus": threads, "num_gpus": gpus, "max_retries": RESTARTS}
        self._work = self._ray.remote(**options)(work)

    def start(self, tasks: Sequence[Task]) -> None:
        self._waiting.extend(tasks)
        self._fill()

    def ended(self, seconds: float) -> list[tuple[Task, Outcome]]:
        if self._stop:
            stopped = [(task, Outcome("stopped")) for task in self._waiting]
            self._waiting.clear()
            if stopped:
                return stopped
        if not self._running:
            return []
        references = list(self._running)
        ready, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
        found = [(self._running.pop(one), one) for one in ready]
        self._fill()
        return [(task, self._outcome(task, one)) for task, one in found]

    def stop(self, how: Stop) -> None:
        self._stop = how
        for reference in self._running:
            self._ray.cancel(reference, force=how == Stop.KILL)

    def close(self) -> None:
        if self._is_ours:
            self._ray.shutdown()

    def _fill(self) -> None:
        """Give waiting cells to Ray, as many as there may be at once."""
        while self._waiting and not self._stop:
            if self.workers is not None and len(self._running) >= self.workers:
                return
            task = self._waiting.popleft()
            self._running[self._work.remote(task)] = task

    def _outcome(self, task: Task, reference: Any) -> Outcome:
        """The outcome that the work returned; "failed" if its worker died too often."""
        try:
            outcome: Outcome = self._ray.get(reference)
        except (self._ray.exceptions.RayError, KeyboardInterrupt) as error:
            if self._stop:
                return Outcome("stopped")
            reason = str(error).strip().splitlines()[-1]
            note_failure(task, reason)
            return Outcome("failed", reason)
        return outcome

    def _connect(self, address: str) -> None:
        # Ray would otherwise report usage to its authors.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="warning")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(
                f"no cluster of Ray at {address}: start one by ray start --head, or name its head "
                f"by --ray HOST:PORT ({str(error).splitlines()[0]})"
            ) from None

    def _check_room(self, threads: int, gpus: float) -> None:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= threads and node.get("GPU", 0) >= gpus for node in nodes):
            room = "; ".join(f"{node.get('CPU', 0):g} and {node.get('GPU', 0):g}" for node in nodes)
            raise InputError(
                f"no machine of the cluster has {threads} cores and {gpus:g} GPUs, as a cell "
                f"needs: they have {room}. Change threads or gpus"
            )


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingPackageError(
            "the runner ray needs the package ray: pip install 'sense-at[ray]'"
        ) from None
    return ray
