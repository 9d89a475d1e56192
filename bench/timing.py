"""Times of contenders that run in turn, and their ratios.

The load of a machine and its clock rate change within seconds. Therefore the contenders run one
after the other in rounds, and are compared by the median over rounds of the ratio within a round.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Contender = Callable[[], float]  # runs once and returns the seconds that count
Times = dict[str, list[float]]  # by contender: seconds of each round


@dataclass(frozen=True)
class Spread:
    """Median over rounds, smallest and largest value."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        return Spread(statistics.median(values), min(values), max(values))


def timed(work: Callable[[], object]) -> Contender:
    """Return a contender whose whole work is timed."""

    def run() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return run


def alternate(contenders: Mapping[str, Contender], rounds: int, warm_up: bool = True) -> Times:
    """Return the seconds of each contender in each round. Each round begins with another
    contender. A first round, which fills caches, is not counted."""
    names = list(contenders)
    if warm_up:
        for run in contenders.values():
            run()
    times: Times = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(contenders[name]())
    return times


def ratio(times: Times, name: str, baseline: str) -> Spread:
    """Return the ratio of two contenders' times in the same round."""
    return Spread.of([a / b for a, b in zip(times[name], times[baseline], strict=True)])


def fastest(times: Times, names: Sequence[str]) -> str:
    """Return the contender with the smallest median time."""
    return min(names, key=lambda name: statistics.median(times[name]))


@dataclass(frozen=True)
class Process:
    """A finished process: its output, its wall time in seconds, and the largest resident set size
    in bytes of it or of a process that it waited for."""

    output: str
    seconds: float
    memory: int


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
    """Run a command. Raises RuntimeError with its output if it fails."""
    launch = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    done = subprocess.run(
        [*launch, *command],
        env={**os.environ, **(environment or {})},
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    output, _, line = done.stdout.rstrip("\n").rpartition("\n")
    found = json.loads(line)
    if found["code"]:
        raise RuntimeError(f"{' '.join(command)} ended with {found['code']}:\n{output}")
    return Process(output, found["seconds"], found["memory"])
