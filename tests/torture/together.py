"""Several processes in one folder: one works, the others report it, and no results are mixed."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from .children import Child, Failure, Result, run
from .commands import SEEDS, check_equal, evaluate, evaluated, make_runs, resume, train, trained
from .frame import Shared


def together(draw: random.Random, shared: Shared, folder: Path) -> None:
    """Start several processes in one of several ways."""
    shared.once("runs", lambda: make_runs(shared.folder))
    draw.choice(
        [
            begin_together,
            resume_together,
            evaluate_together,
            begin_without_a_name,
            train_and_evaluate,
        ]
    )(draw, shared.folder, folder)


def begin_together(draw: random.Random, shared: Path, folder: Path) -> None:
    """Start runs with different seeds in one new folder: one of them is trained."""
    out, seeds = folder / "run", draw.sample(SEEDS, draw.randint(2, len(SEEDS)))
    ended = run_at_once(
        draw, [train("sense", shared / "data", out, seed) for seed in seeds], folder
    )
    winners = [seed for seed, end in zip(seeds, ended, strict=True) if succeeded(end, out)]
    if len(winners) != 1:
        raise Failure(f"{len(winners)} of {len(seeds)} runs were made in one folder")
    check_equal(trained(out), trained(shared / "trained" / str(winners[0])))


def resume_together(draw: random.Random, shared: Path, folder: Path) -> None:
    """Resume a killed run in several processes, one of which may be killed."""
    out = folder / "run"
    child = Child(train("sense", shared / "data", out), folder / "log")
    _wait_for(out / "checkpoint.pt", child)
    child.send(draw.choice([signal.SIGKILL, signal.SIGTERM]))
    child.end()
    several = draw.randint(2, 4)
    killed = draw.choice([None, 0])
    ended = run_at_once(draw, [resume(out)] * several, folder, killed)
    if not any([succeeded(end, out) for end in ended if not end.killed]) and killed is None:
        raise Failure(f"none of {several} resumed it: {ended[0].err}")
    last = run(resume(out), folder / "log")
    if last.code:
        raise Failure(f"it cannot be resumed: {last.err}")
    check_equal(trained(out), trained(shared / "trained" / "0"))


def evaluate_together(draw: random.Random, shared: Path, folder: Path) -> None:
    """Evaluate a run in several processes, one of which may be killed."""
    out = folder / "0"
    shutil.copytree(shared / "trained" / "0", out)
    several, killed = draw.randint(2, 4), draw.choice([None, 0])
    ended = run_at_once(draw, [evaluate(out)] * several, folder, killed)
    if not any([succeeded(end, out) for end in ended if not end.killed]) and killed is None:
        raise Failure(f"none of {several} evaluated: {ended[0].err}")
    last = run(evaluate(out), folder / "log")
    if last.code:
        raise Failure(f"it cannot be resumed: {last.err}")
    check_equal(evaluated(out), evaluated(shared / "evaluated" / "0"))


def begin_without_a_name(draw: random.Random, shared: Path, folder: Path) -> None:
    """Start runs without --out at the same time: each has a folder of its own."""

    def begin(seed: int) -> Callable[[], None]:
        def work() -> None:
            os.chdir(folder)
            train("sense", shared / "data", None, seed)()

        return work

    seeds = draw.sample(SEEDS, draw.randint(2, len(SEEDS)))
    for seed, end in zip(
        seeds, run_at_once(draw, [begin(seed) for seed in seeds], folder), strict=True
    ):
        if end.code:
            raise Failure(f"a run without a name ends with {end.code}: {end.err}")
        out = folder / end.out.splitlines()[-1].removeprefix("run: ")
        check_equal(trained(out), trained(shared / "trained" / str(seed)))


def train_and_evaluate(draw: random.Random, shared: Path, folder: Path) -> None:
    """Evaluate a run while it is trained: the result of the training is unchanged."""
    out = folder / "run"
    child = Child(train("sense", shared / "data", out), folder / "log")
    _wait_for(out / "model.safetensors", child)
    run_at_once(draw, [evaluate(out)] * draw.randint(1, 2), folder)
    child.end()
    last = run(resume(out), folder / "log")
    if last.code:
        raise Failure(f"it cannot be resumed: {last.err}")
    check_equal(trained(out), trained(shared / "trained" / "0"))


def run_at_once(
    draw: random.Random, works: list[Callable[[], None]], folder: Path, killed: int | None = None
) -> list[Result]:
    """Start processes at the same time or shortly after each other; kill the one of the number
    `killed`. Raises `Failure` if one neither works nor ends with a one-line error."""
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


def succeeded(end: Result, out: Path) -> bool:
    """Return whether a process did its work. If not, its message must name the folder."""
    if end.code and str(out) not in end.err:
        raise Failure(f"the message does not name {out}: {end.err}")
    return end.code == 0


def _wait_for(path: Path, child: Child) -> None:
    while not path.exists() and time.monotonic() < child.began + 60:
        time.sleep(0.002)
