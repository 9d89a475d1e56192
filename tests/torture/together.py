"""Several processes at once in one folder: one wins, the others say so, and nothing is mixed."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from .children import Child, Ended, Failure, run
from .commands import SEEDS, evaluate, evaluated, make_runs, resume, same, train, trained
from .frame import Room


def together(draw: random.Random, room: Room, folder: Path) -> None:
    """One of the ways in which processes can meet."""
    room.once("runs", lambda: make_runs(room.folder))
    draw.choice([begin, go_on, evaluate_together, without_a_name, train_and_evaluate])(
        draw, room.folder, folder
    )


def begin(draw: random.Random, shared: Path, folder: Path) -> None:
    """Runs of other seeds are begun in one new folder: one is made."""
    out, seeds = folder / "run", draw.sample(SEEDS, draw.randint(2, len(SEEDS)))
    ended = meet(draw, [train("sense", shared / "data", out, seed) for seed in seeds], folder)
    winners = [seed for seed, end in zip(seeds, ended, strict=True) if won(end, out)]
    if len(winners) != 1:
        raise Failure(f"{len(winners)} of {len(seeds)} runs were made in one folder")
    same(trained(out), trained(shared / "trained" / str(winners[0])))


def go_on(draw: random.Random, shared: Path, folder: Path) -> None:
    """A run that was killed is resumed by several, of which one may be killed again."""
    out = folder / "run"
    child = Child(train("sense", shared / "data", out), folder / "log")
    _wait_for(out / "checkpoint.pt", child)
    child.send(draw.choice([signal.SIGKILL, signal.SIGTERM]))
    child.end()
    several = draw.randint(2, 4)
    killed = draw.choice([None, 0])
    ended = meet(draw, [resume(out)] * several, folder, killed)
    if not any([won(end, out) for end in ended if not end.killed]) and killed is None:
        raise Failure(f"none of {several} went on: {ended[0].err}")
    last = run(resume(out), folder / "log")
    if last.code:
        raise Failure(f"it does not go on: {last.err}")
    same(trained(out), trained(shared / "trained" / "0"))


def evaluate_together(draw: random.Random, shared: Path, folder: Path) -> None:
    """One run is evaluated by several, of which one may be killed."""
    out = folder / "0"
    shutil.copytree(shared / "trained" / "0", out)
    several, killed = draw.randint(2, 4), draw.choice([None, 0])
    ended = meet(draw, [evaluate(out)] * several, folder, killed)
    if not any([won(end, out) for end in ended if not end.killed]) and killed is None:
        raise Failure(f"none of {several} evaluated: {ended[0].err}")
    last = run(evaluate(out), folder / "log")
    if last.code:
        raise Failure(f"it does not go on: {last.err}")
    same(evaluated(out), evaluated(shared / "evaluated" / "0"))


def without_a_name(draw: random.Random, shared: Path, folder: Path) -> None:
    """Runs without --out are begun in one moment: each has a folder of its own."""

    def begin(seed: int) -> Callable[[], None]:
        def work() -> None:
            os.chdir(folder)
            train("sense", shared / "data", None, seed)()

        return work

    seeds = draw.sample(SEEDS, draw.randint(2, len(SEEDS)))
    for seed, end in zip(seeds, meet(draw, [begin(seed) for seed in seeds], folder), strict=True):
        if end.code:
            raise Failure(f"a run without a name ends with {end.code}: {end.err}")
        out = folder / end.out.splitlines()[-1].removeprefix("run: ")
        same(trained(out), trained(shared / "trained" / str(seed)))


def train_and_evaluate(draw: random.Random, shared: Path, folder: Path) -> None:
    """A run is evaluated while it is trained: the training is what it would have been."""
    out = folder / "run"
    child = Child(train("sense", shared / "data", out), folder / "log")
    _wait_for(out / "model.safetensors", child)
    meet(draw, [evaluate(out)] * draw.randint(1, 2), folder)
    child.end()
    last = run(resume(out), folder / "log")
    if last.code:
        raise Failure(f"it does not go on: {last.err}")
    same(trained(out), trained(shared / "trained" / "0"))


def meet(
    draw: random.Random, works: list[Callable[[], None]], folder: Path, killed: int | None = None
) -> list[Ended]:
    """Processes begun at one moment, or at moments near each other; the one of number `killed` dies
    on the way. Raises `Failure` where one neither works nor refuses in one line."""
    apart = draw.choice([0.0, 0.0, 0.3])
    start = time.monotonic() + 0.2

    def at_once(work: Callable[[], None], wait: float) -> Callable[[], None]:
        def begin() -> None:
            time.sleep(max(0.0, start + wait - time.monotonic()))
            work()

        return begin

    children = [
        Child(at_once(work, draw.uniform(0, apart)), folder / f"log{i}")
        for i, work in enumerate(works)
    ]
    if killed is not None:
        time.sleep(draw.uniform(0.2, 1))
        if os.waitid(os.P_PID, children[killed].pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            children[killed].send(signal.SIGKILL)
    ended = [child.end() for child in children]
    for end in ended:
        if not end.killed and end.code:
            end.line()
    return ended


def won(end: Ended, out: Path) -> bool:
    """Whether it did its work, else it has to name the folder."""
    if end.code and str(out) not in end.err:
        raise Failure(f"the message does not name {out}: {end.err}")
    return end.code == 0


def _wait_for(path: Path, child: Child) -> None:
    while not path.exists() and time.monotonic() < child.began + 60:
        time.sleep(0.002)
