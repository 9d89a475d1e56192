"""The work on one cell, in whatever process an engine gives it: train, then evaluate.

Each command is a process of its own, so that a crash, or the end of the memory, takes no other cell
with it. What is done is read from the cell's folder, so work that was cut off is resumed.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, TakenError
from ..files import appended_file
from ..folder_lock import FolderLock, is_locked
from .cells import Cell
from .commands import evaluate_command, resume_command, train_command
from .log import FAILED, FINISHED, LOGS, STOPPED, last_failure, log_path, write_line
from .state import Progress, claim_name, is_outdated, progress_of

INPUT_ERROR = 2  # exit status of a command that would fail again in the same way
POLL = 0.2  # seconds
PATIENCE = 60.0  # seconds for a command to save its checkpoint
PACKAGES = ("site-packages", "dist-packages")


class Stop(IntEnum):
    """What to do with the commands that run: let them run, let them save and end, or kill
    them."""

    NO = 0
    SAVE = 1
    KILL = 2


@dataclass(frozen=True)
class Task:
    """A cell to work on.

    Attributes
    ----------
    cell, out
        The cell, and the folder of the sweep, which every machine sees under this path.
    retries
        How often a command that failed is started again.
    runtime
        Options of where and how it runs, of training and evaluation: data_dir, threads, device.
    cwd
        The working directory, where modules of the user's own are.
    environment
        Changes of environment variables.
    """

    cell: Cell
    out: Path
    retries: int = 1
    runtime: Mapping[str, Any] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How the work on a cell ended, and why if it failed."""

    kind: Literal["done", "failed", "stopped", "in use"]
    reason: str = ""


def work(task: Task, stop: Callable[[], Stop] = lambda: Stop.NO) -> Outcome:
    """Train and evaluate a cell as far as that is not done yet. `stop` is called several times a
    second."""
    try:
        claim = FolderLock(task.out / LOGS, claim_name(task.cell))
    except TakenError as error:
        return Outcome("in use", str(error))
    except InputError as error:
        return Outcome("failed", str(error))
    try:
        return _work_alone(task, stop)
    except InputError as error:
        return Outcome("failed", str(error))
    finally:
        claim.release()


def _work_alone(task: Task, stop: Callable[[], Stop]) -> Outcome:
    folder, failures = task.out / task.cell.name, 0
    while not (progress := progress_of(task.cell, task.out)).is_done:
        if stop():
            return Outcome("stopped")
        if is_locked(folder):
            return Outcome("in use", f"{folder} is in use by another process")
        code = run_logged(task, next_command(task, progress), stop)
        if code is None:
            return Outcome("stopped")
        if code:
            failures += 1
            if code == INPUT_ERROR or failures > task.retries:
                return Outcome("failed", last_failure(log_path(task.out, task.cell.name)) or "")
        elif progress_of(task.cell, task.out) == progress:
            return Outcome("failed", "its last command ended without an error, and did nothing")
    return Outcome("done")


def next_command(task: Task, progress: Progress) -> list[str]:
    """Return the arguments of `python` of the next step of a cell that is not done."""
    cell, folder = task.cell, task.out / task.cell.name
    if progress.trained:
        words = evaluate_command(cell, cell.evaluations[progress.missing[0]], folder, task.runtime)
        # An evaluation from before the end of training is no result: it is replaced.
        return [*words, "--overwrite"] if is_outdated(folder) else words
    if progress.begun:
        return resume_command(cell, folder, task.runtime)
    return train_command(cell, folder, task.runtime)


def run_logged(task: Task, words: list[str], stop: Callable[[], Stop]) -> int | None:
    """Run python with these arguments and append its output to the log of the cell. Returns its
    exit status, negative for a signal, or None if it was stopped."""
    with appended_file(log_path(task.out, task.cell.name)) as log:
        write_line(log, " ".join(["python", *words]))
        process = subprocess.Popen(
            [*_ended_with_this_process(), sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=task.cwd,
            env=_environment(task),
            start_new_session=True,  # Ctrl-C is for the sweep, which ends each command
        )
        try:
            stopped = _wait(process, stop)
        except BaseException:  # such as KeyboardInterrupt, by which Ray cancels
            write_line(log, STOPPED)
            raise
        code = process.returncode
        if code == 0:
            write_line(log, FINISHED)
        elif stopped:
            write_line(log, STOPPED)
            return None
        else:
            write_line(log, FAILED + _how(code))
    return code


def _wait(process: subprocess.Popen[bytes], stop: Callable[[], Stop]) -> bool:
    """Wait for the end of the process. Returns whether it was stopped."""
    sent = Stop.NO
    _running.append(process)
    try:
        while process.poll() is None:
            wanted = stop()
            if wanted > sent:
                process.send_signal(signal.SIGKILL if wanted == Stop.KILL else signal.SIGTERM)
                sent = wanted
            time.sleep(POLL)
    except BaseException:
        _end([process])
        raise
    finally:
        _running.remove(process)
    return sent != Stop.NO


_running: list[subprocess.Popen[bytes]] = []  # the commands of this process


def end_commands() -> None:
    """End all commands of this process, with their checkpoints."""
    _end(_running)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    return f"ended by {name}" + (", such as when the memory is full" if name == "SIGKILL" else "")


def _ended_with_this_process() -> list[str]:
    """Return a command that starts another one, which gets SIGTERM when this process is killed, so
    that it saves its checkpoint. Elsewhere than on Linux it runs on, with its folder locked."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _environment(task: Task) -> dict[str, str]:
    """Return the environment of a command: it imports this package, and uses its threads only."""
    environment = {**os.environ, **task.environment, **python_path()}
    if (threads := task.runtime.get("threads")) is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return environment


def python_path() -> dict[str, str]:
    """Return the environment variable with which another Python imports this package from here.
    Nothing if it is installed."""
    root = Path(__file__).resolve().parents[2]
    if set(root.parts) & set(PACKAGES):
        return {}
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(root), *([before] if before else [])])}


def note_failure(task: Task, reason: str) -> None:
    """Write into the log of a cell that its process ended without doing so itself."""
    with suppress(InputError), appended_file(log_path(task.out, task.cell.name)) as log:
        write_line(log, FAILED + reason)
