"""Run trials for some time, and keep those that fail."""

import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from .children import Failure

KEPT = Path("torture")
KEPT_BYTES = 2**20  # of a file; larger ones are sparse files of a trial


@dataclass
class Shared:
    """A folder that all trials share, and what was created there."""

    folder: Path
    made: dict[str, object] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], object]) -> object:
        """Return the result of the first call of `make`."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


# trial(draw, shared, folder): raises Failure. The folder is empty, and kept if the trial fails. It
# may return the number of inputs that it tried.
Trial = Callable[[random.Random, Shared, Path], int | None]


@dataclass
class Tally:
    """The trials of a part, and the seeds of those that failed."""

    part: str
    trials: int = 0
    seconds: float = 0.0
    failed: list[int] = field(default_factory=list)
    skipped: str = ""
    inputs: int = 0

    def row(self) -> str:
        inputs = f"{self.inputs} inputs" if self.inputs else ""
        failed = f"seeds {' '.join(map(str, self.failed))}" if self.failed else ""
        notes = "; ".join(filter(None, (self.skipped, inputs, failed)))
        return (
            f"{self.part:<12}{self.trials:>8}{len(self.failed):>10}{self.seconds:>9.0f} s  {notes}"
        ).rstrip()


HEAD = f"{'part':<12}{'trials':>8}{'failures':>10}{'time':>11}"


def run_part(
    name: str, trial: Trial, shared: Shared, seconds: float, seed: int, trials: int | None
) -> Tally:
    """Run trials with the seeds `seed`, `seed` + 1 ..., `trials` of them or for some seconds."""
    tally, began = Tally(name), time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as place:
        while tally.trials < (1e9 if trials is None else trials) and (
            trials is not None or time.monotonic() < began + seconds
        ):
            folder = Path(place) / f"trial-{seed + tally.trials}"
            folder.mkdir()
            try:
                tally.inputs += trial(random.Random(seed + tally.trials), shared, folder) or 0
            except Exception as error:
                tally.failed.append(seed + tally.trials)
                keep(name, seed + tally.trials, folder, error)
            shutil.rmtree(folder, ignore_errors=True)
            tally.trials += 1
    tally.seconds = time.monotonic() - began
    return tally


def keep(part: str, seed: int, folder: Path, error: Exception) -> None:
    """Store the error of a trial, its files and the command that repeats it."""
    place = KEPT / f"{part}-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    text = "".join(traceback.format_exception(error))
    command = f"python -m tests.torture --parts {part} --seed {seed} --trials 1"
    (place / "found.txt").write_text(f"{command}\n\n{text}")
    for path in sorted(folder.rglob("*")):
        copy = place / path.relative_to(folder)
        if path.is_dir() and not path.is_symlink():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.is_symlink() or (path.is_file() and path.stat().st_size <= KEPT_BYTES):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy, follow_symlinks=False)
    print(f"{part} {seed}: {' '.join(str(error).split())[:300]}\n  {command}", flush=True)


class Hang(Failure):
    """A call took too long."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise `Hang` if the block takes longer, even if it waits for a FIFO."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Hang(f"took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
