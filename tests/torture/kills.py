"""Training and evaluation are killed at any moment or write, and resumed to the same result."""

import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from .children import Child, Failure, Result, run
from .commands import (
    RUNS,
    check_equal,
    evaluate,
    evaluated,
    make_runs,
    resume_or_train,
    run_undisturbed,
    train,
    trained,
)
from .frame import Shared

GRACEFUL = {signal.SIGINT: "stopped", signal.SIGTERM: "stopped", signal.SIGHUP: "stopped"}
WRITES = ("os.rename", "os.remove", "os.link", "os.mkdir", "os.truncate", "os.chmod")
MAX_KILLS = 4


def kill_training(draw: random.Random, shared: Shared, folder: Path) -> None:
    """Kill and resume training. It ends with the weights and metrics of an undisturbed run."""
    name = draw.choice(list(RUNS))
    shared.once("runs", lambda: make_runs(shared.folder))
    data = shared.folder / "data"
    whole, writes, seconds = reference(shared, name, lambda out: train(name, data, out), trained)
    out, log = folder / "run", folder / "log"

    _kill_and_resume(draw, lambda: resume_or_train(name, data, out), log, writes, seconds)
    check_equal(trained(out), whole)


def kill_evaluation(draw: random.Random, shared: Shared, folder: Path) -> None:
    """Kill an evaluation and resume it with the same command."""
    shared.once("runs", lambda: make_runs(shared.folder))

    def begin(out: Path) -> Callable[[], None]:
        shutil.copytree(shared.folder / "trained" / "0", out)
        return evaluate(out)

    _, writes, seconds = reference(shared, "an evaluation", begin, evaluated)
    command = begin(folder / "0")
    _kill_and_resume(draw, lambda: command, folder / "log", writes, seconds)
    check_equal(evaluated(folder / "0"), evaluated(shared.folder / "evaluated" / "0"))


def reference(
    shared: Shared,
    name: str,
    begin: Callable[[Path], Callable[[], None]],
    found: Callable[[Path], dict[str, Any]],
) -> tuple[dict[str, Any], int, float]:
    """Return the result of an undisturbed process, its number of writes and its duration."""

    def make() -> tuple[dict[str, Any], int, float]:
        out, counted = shared.folder / name, shared.folder / f"{name}.writes"
        work = begin(out)

        def counting() -> None:
            seen = at_each_write(lambda n: None)
            work()
            counted.write_text(str(next(seen)))

        began = time.monotonic()
        run_undisturbed(counting, shared.folder / "log")
        return found(out), int(counted.read_text()), time.monotonic() - began

    return shared.once(name, make)  # type: ignore[return-value]


def at_each_write(act: Callable[[int], object]) -> "count[int]":
    """Call `act(n)` before the n-th write of this process: when it opens a file for writing,
    renames, removes, links or flushes a file, or creates a folder."""
    seen, flush = count(1), os.fsync

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        opened = (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if opened or event in WRITES:
            act(next(seen))

    def fsync(file: Any) -> None:
        act(next(seen))
        flush(file)

    os.fsync = fsync
    sys.addaudithook(hook)
    return seen


def _kill_and_resume(
    draw: random.Random,
    command: Callable[[], Callable[[], None]],
    log: Path,
    writes: int,
    seconds: float,
) -> None:
    for _ in range(draw.randint(1, MAX_KILLS)):
        if _interrupted(draw, command(), log, writes, seconds).code == 0:
            break
    ended = run(command(), log)
    if ended.code:
        raise Failure(
            f"a killed command cannot be resumed and ends with {ended.code}:\n{ended.err}"
        )


def _interrupted(
    draw: random.Random, work: Callable[[], None], log: Path, writes: int, seconds: float
) -> Result:
    """Run a process and send it one signal. Raises `Failure` if it does not end as expected."""
    number = draw.choice([signal.SIGKILL, signal.SIGKILL, *GRACEFUL])
    way = draw.choice(["moment", "write", "within a write"])
    if way == "moment":
        child = Child(work, log)
        time.sleep(draw.uniform(0, 1.1 * seconds))
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            child.send(number)
    else:
        at, limit = draw.randint(1, writes + 1), draw.choice([0, 1, 30, 300, 3000, 30000])

        def send_signal(n: int) -> None:
            if n == at and way == "write":
                os.kill(os.getpid(), number)
            elif n == at:  # the system kills it within a write that exceeds the limit
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        def work_with_signal() -> None:
            at_each_write(send_signal)
            work()

        child = Child(work_with_signal, log)
    ended = child.end()
    messages = {0: "", 128 + number: "stopped", -number: "", -signal.SIGXFSZ: ""}
    expected = messages.get(ended.code)
    if number == signal.SIGINT and ended.code in (1, 130) and "stopped" not in ended.err:
        # Before and after the work of the command there is nothing to resume.
        expected = "KeyboardInterrupt" if ended.code == 1 else "interrupted"
    if expected is None or expected not in ended.err:
        raise Failure(f"after {number!r} ({way}) it ends with {ended.code}:\n{ended.err}")
    return ended
