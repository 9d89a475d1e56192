"""Options of commands that run cells: where they run, and where the data are."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ..config.options import Help
from ..errors import InputError
from ..interrupts import noted_signals
from .run import SweepStopped

RUNNERS_OF = {"gpus": ("slurm", "ray"), "slurm": ("slurm",), "ray": ("ray",)}
NAMES = {"slurm": "parameters", "ray": "address"}  # of arguments of the runners


@dataclass(frozen=True, kw_only=True)
class RunnerArguments:
    runner: Annotated[
        Literal["local", "slurm", "ray"],
        Help(
            "where the cells run. local: in processes of this machine; slurm: as an array of jobs, "
            "through submitit; ray: on a cluster of Ray. --out and the data must then be on a disk "
            "that all machines share"
        ),
    ] = "local"
    workers: Annotated[
        int | None,
        Help(
            "number of cells at once",
            default="local: one per core, or per GPU; slurm, ray: as many as there is room for",
        ),
    ] = None
    threads: Annotated[
        int | None,
        Help("CPU threads of each cell", default="local: cores divided by workers; slurm, ray: 1"),
    ] = None
    retries: Annotated[int, Help("number of times that a cell that crashed is started again")] = 1
    mnist: Annotated[
        Path | None,
        Help("folder with the files of MNIST", default="downloaded into the cache directory"),
    ] = None
    cifar10: Annotated[
        Path | None,
        Help("folder with the files of CIFAR10", default="downloaded into the cache directory"),
    ] = None
    gpus: Annotated[float, Help("slurm, ray: GPUs of each cell; ray: also a part, 0.5")] = 0
    slurm: Annotated[
        tuple[str, ...],
        Help(
            "further options of the jobs, NAME=VALUE, as submitit's AutoExecutor has them: "
            "timeout_min=600 slurm_partition=gpu mem_gb=8",
            default="timeout_min=1440",
        ),
    ] = ()
    ray: Annotated[
        str | None,
        Help("address of the head of the cluster, HOST:PORT", default="RAY_ADDRESS, or this one"),
    ] = None

    def run_options(self) -> dict[str, Any]:
        """Return them as arguments of `run_cells`. Raises InputError for an option of another
        runner."""
        folders = {"mnist": self.mnist, "cifar10": self.cifar10}
        return {
            "runner": self.runner,
            "workers": self.workers,
            "threads": self.threads,
            "retries": self.retries,
            "data_dirs": {name: path for name, path in folders.items() if path is not None},
            **self._own_options(),
        }

    def _own_options(self) -> dict[str, Any]:
        """The options that only some runners have."""
        found = {name: getattr(self, name) for name in RUNNERS_OF if getattr(self, name)}
        for name in found:
            if self.runner not in RUNNERS_OF[name]:
                raise InputError(
                    f"--{name} is for --runner {' and '.join(RUNNERS_OF[name])}, got --runner "
                    f"{self.runner}: leave it out"
                )
        if "slurm" in found:
            found["slurm"] = dict(map(_named_value, found["slurm"]))
        return {NAMES.get(name, name): value for name, value in found.items()}


@contextmanager
def stop_by_signal() -> Iterator[Callable[[], int | None]]:
    """Give the `stop` of `run_cells`: a signal stops the cells, and then ends the command."""
    with noted_signals() as stop:
        try:
            yield stop
        except SweepStopped as stopped:
            print(stopped, file=sys.stderr, flush=True)
            sys.exit(128 + stopped.reason)


def _named_value(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; whole numbers and fractions are numbers."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"an option of slurm must be NAME=VALUE, got {text!r}")
    for number in (int, float):
        with suppress(ValueError):
            return name, number(value)
    return name, value
