"""Processes that may be killed: forks of this one, which has imported torch but not used it."""

import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 120  # seconds
# Limits of a process, in case a damaged file makes it allocate too much.
MEMORY = 6 * 2**30  # bytes of address space, including that of torch's libraries
MAX_FILE_BYTES = 2**26  # bytes of a file that is written


class Failure(Exception):  # noqa: N818  the result of a trial
    """A trial failed."""


@dataclass(frozen=True)
class Result:
    """The exit status of a process (the negative number of the signal that killed it) and what it
    printed."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code < 0

    def error(self) -> str:
        """Return the last error of the traceback. The log has everything that was printed."""
        pattern = r"^[ |]*((?:[\w.]+\.)?\w*(?:Error|Failure|Hang|Exception)\b.*)$"
        errors = re.findall(pattern, self.err, re.MULTILINE)
        return errors[-1][:500] if errors else self.err[-500:]

    def line(self) -> str:
        """Return the one-line error message of a command, which may follow warnings. Raises
        `Failure` for any other output."""
        warnings = len(re.findall(r"Warning: ", self.err))
        lines = self.err.splitlines()
        if (
            self.code != 2
            or "Traceback" in self.err
            or not lines[-1].startswith("sense.")
            or len(lines) > 1 + 2 * warnings
        ):
            raise Failure(f"not one line and exit status 2, but {self.code}:\n{self.err}")
        return lines[-1]


class Child:
    """Start a process that calls `work()`, with its output in files of `scratch`."""

    def __init__(self, work: Callable[[], object], scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        number = len(list(scratch.glob("*.err")))
        self.out, self.err = (scratch / f"{number:03}.{name}" for name in ("out", "err"))
        self.out.touch()
        self.err.touch()
        sys.stdout.flush()
        sys.stderr.flush()
        self.began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            _work_in_the_fork(work, self.out, self.err)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self, timeout: float = TIMEOUT) -> Result:
        """Wait until the process has ended. Raises `Failure` if that takes too long."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                out, err = (path.read_text(errors="replace") for path in (self.out, self.err))
                return Result(os.waitstatus_to_exitcode(status), out, err)
            if time.monotonic() > self.began + timeout:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise Failure(f"a process hangs: {self.err.read_text(errors='replace')}")
            time.sleep(0.005)


def run(work: Callable[[], object], scratch: Path) -> Result:
    """Call `work()` in a process of its own and wait for it."""
    return Child(work, scratch).end()


def _work_in_the_fork(work: Callable[[], object], out: Path, err: Path) -> None:
    """Exit as Python does: with 0, the status of SystemExit, or 1 and a traceback."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for path, stream in ((out, sys.stdout), (err, sys.stderr)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), stream.fileno())
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
