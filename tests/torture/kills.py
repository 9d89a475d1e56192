"""Training and evaluation are killed at any moment and at any write; what goes on is what would
have been."""

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

from .children import Child, Ended, Failure, run
from .commands import (
    RUNS,
    evaluate,
    evaluated,
    go_on,
    make_runs,
    same,
    train,
    trained,
    undisturbed,
)
from .frame import Room

GRACEFUL = {signal.SIGINT: "stopped", signal.SIGTERM: "stopped", signal.SIGHUP: "stopped"}
WRITES = ("os.rename", "os.remove", "os.link", "os.mkdir", "os.truncate", "os.chmod")
MOST = 4  # times that a process is killed before it may end


def kill_training(draw: random.Random, room: Room, folder: Path) -> None:
    """Killed and resumed until it ends: weights and metrics of the run that was left alone."""
    name = draw.choice(list(RUNS))
    room.once("runs", lambda: make_runs(room.folder))
    data = room.folder / "data"
    whole, writes, seconds = reference(room, name, lambda out: train(name, data, out), trained)
    out, log = folder / "run", folder / "log"

    _kill_and_go_on(draw, lambda: go_on(name, data, out), log, writes, seconds)
    same(trained(out), whole)


def kill_evaluation(draw: random.Random, room: Room, folder: Path) -> None:
    """The same of an evaluation, which the same command goes on with."""
    room.once("runs", lambda: make_runs(room.folder))

    def begin(out: Path) -> Callable[[], None]:
        shutil.copytree(room.folder / "trained" / "0", out)
        return evaluate(out)

    _, writes, seconds = reference(room, "an evaluation", begin, evaluated)
    command = begin(folder / "0")
    _kill_and_go_on(draw, lambda: command, folder / "log", writes, seconds)
    same(evaluated(folder / "0"), evaluated(room.folder / "evaluated" / "0"))


def reference(
    room: Room,
    name: str,
    begin: Callable[[Path], Callable[[], None]],
    found: Callable[[Path], dict[str, Any]],
) -> tuple[dict[str, Any], int, float]:
    """What an undisturbed process leaves in room/NAME, how often it writes, and how long it
    takes."""

    def make() -> tuple[dict[str, Any], int, float]:
        out, counted = room.folder / name, room.folder / f"{name}.writes"
        work = begin(out)

        def counting() -> None:
            seen = at_each_write(lambda n: None)
            work()
            counted.write_text(str(next(seen)))

        began = time.monotonic()
        undisturbed(counting, room.folder / "log")
        return found(out), int(counted.read_text()), time.monotonic() - began

    return room.once(name, make)  # type: ignore[return-value]


def at_each_write(act: Callable[[int], object]) -> "count[int]":
    """From now on call `act(n)` before this process's n-th step of writing: a file is opened to be
    written, renamed, removed, linked or flushed to the disk, or a folder made."""
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


def _kill_and_go_on(
    draw: random.Random,
    command: Callable[[], Callable[[], None]],
    log: Path,
    writes: int,
    seconds: float,
) -> None:
    for _ in range(draw.randint(1, MOST)):
        if _interrupted(draw, command(), log, writes, seconds).code == 0:
            break
    ended = run(command(), log)
    if ended.code:
        raise Failure(f"what was killed does not go on, but ends with {ended.code}:\n{ended.err}")


def _interrupted(
    draw: random.Random, work: Callable[[], None], log: Path, writes: int, seconds: float
) -> Ended:
    """A process that is struck once. Raises `Failure` where it ends in a way of its own."""
    number = draw.choice([signal.SIGKILL, signal.SIGKILL, *GRACEFUL])
    way = draw.choice(["moment", "write", "midst"])
    if way == "moment":
        child = Child(work, log)
        time.sleep(draw.uniform(0, 1.1 * seconds))
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            child.send(number)
    else:
        at, limit = draw.randint(1, writes + 1), draw.choice([0, 1, 30, 300, 3000, 30000])

        def strike(n: int) -> None:
            if n == at and way == "write":
                os.kill(os.getpid(), number)
            elif n == at:  # the system kills it in the midst of a write past so many bytes
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        def struck() -> None:
            at_each_write(strike)
            work()

        child = Child(struck, log)
    ended = child.end()
    words = {0: "", 128 + number: "stopped", -number: "", -signal.SIGXFSZ: ""}
    told = words.get(ended.code)
    if number == signal.SIGINT and ended.code in (1, 130) and "stopped" not in ended.err:
        # Before or after the command's own work nothing can be resumed.
        told = "KeyboardInterrupt" if ended.code == 1 else "interrupted"
    if told is None or told not in ended.err:
        raise Failure(f"struck by {number!r} ({way}), it ends with {ended.code}:\n{ended.err}")
    return ended
