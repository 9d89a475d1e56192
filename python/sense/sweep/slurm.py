"""The runner of Slurm: an array of jobs, through submitit. Everything between the machines is
submitit's and Slurm's.

A job that reaches its time limit, or is preempted, saves its checkpoint and is queued again.
"""

import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingPackageError
from ..interrupts import noted_signals
from .work import Outcome, Stop, Task, end_commands, note_failure, work

DEFAULTS = {"name": "sense", "timeout_min": 24 * 60, "slurm_signal_delay_s": 120}
TIMEOUTS = 1000  # how often a job may reach its time limit and be queued again


class SlurmRunner:
    """Works on cells in the jobs of an array.

    Parameters
    ----------
    out
        Folder of the sweep, in which submitit gets a new folder slurm-XXXXXXXX for its files.
    workers
        Maximum number of jobs at once. Default: as many as Slurm starts.
    threads, gpus
        CPU cores and GPUs of each job.
    parameters
        Further ones of submitit's `AutoExecutor`: timeout_min, mem_gb, slurm_partition ...
    cluster
        An executor of submitit: "slurm", or "local" for jobs on this machine.

    Raises
    ------
    InputError
        If submitit or Slurm is missing here, or does not take a parameter.
    """

    def __init__(
        self,
        out: Path,
        workers: int | None = None,
        threads: int = 1,
        *,
        gpus: float = 0,
        parameters: Mapping[str, Any] | None = None,
        cluster: str = "slurm",
    ) -> None:
        self.workers, self.threads = workers, threads
        self._jobs: list[tuple[Task, Any]] = []
        self._stop = Stop.NO
        if cluster == "slurm" and shutil.which("sbatch") is None:
            raise InputError(
                "the runner slurm needs the command sbatch, which is not here: start the sweep on "
                "a machine from which jobs are submitted"
            )
        if gpus != int(gpus):
            raise InputError(f"gpus must be a whole number with slurm, got {gpus:g}")
        submitit = _submitit()
        # A new folder: what is read there was written by these jobs.
        folder = out / f"slurm-{secrets.token_hex(4)}"
        limits = {"slurm_max_num_timeout": TIMEOUTS, "local_max_num_timeout": TIMEOUTS}
        self._executor = submitit.AutoExecutor(folder, cluster=cluster, **limits)
        own = {"cpus_per_task": threads, "gpus_per_node": int(gpus) or None}
        if workers is not None:
            own["slurm_array_parallelism"] = workers
        try:
            self._executor.update_parameters(**{**DEFAULTS, **own, **(parameters or {})})
        except (NameError, AssertionError, ValueError) as error:
            raise InputError(f"submitit does not take these options: {error}") from None

    def start(self, tasks: Sequence[Task]) -> None:
        with self._executor.batch():
            jobs = [self._executor.submit(Job(task)) for task in tasks]
        self._jobs += zip(tasks, jobs, strict=True)

    def ended(self, seconds: float) -> list[tuple[Task, Outcome]]:
        until = time.monotonic() + seconds
        while not (ended := [(task, job) for task, job in self._jobs if job.done()]):
            if time.monotonic() >= until:
                return []
            time.sleep(min(1.0, seconds))
        self._jobs = [entry for entry in self._jobs if entry not in ended]
        return [(task, self._outcome(task, job)) for task, job in ended]

    def stop(self, how: Stop) -> None:
        self._stop = how
        for _, job in self._jobs:
            job.cancel(check=False)

    def close(self) -> None:
        for _, job in self._jobs:
            job.cancel(check=False)

    def _outcome(self, task: Task, job: Any) -> Outcome:
        """The outcome that a job returned; "failed" if it ended without one."""
        error = job.exception()
        if error is None:
            outcome: Outcome = job.result()
            return outcome
        if self._stop:
            return Outcome("stopped")
        reason = f"job {job.job_id} ended ({job.state}); its messages: {job.paths.stderr}"
        note_failure(task, reason)
        return Outcome("failed", reason)


class Job:
    """The work on a cell as a function that submitit calls, and interrupts before the time limit of
    the job."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> Outcome:
        with noted_signals() as stop:
            return work(self.task, lambda: Stop.NO if stop() is None else Stop.SAVE)

    def checkpoint(self) -> Any:
        """Save the checkpoint and return the job that resumes from it."""
        end_commands()
        return _submitit().helpers.DelayedSubmission(self)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise MissingPackageError(
            "the runner slurm needs the package submitit: pip install 'sense-at[slurm]'"
        ) from None
    return submitit
