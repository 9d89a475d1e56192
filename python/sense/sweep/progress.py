"""What is shown while a sweep runs: which cells have ended, and about how long the rest takes."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from ..progress import duration
from .cells import Cell
from .log import log_path
from .times import Times
from .work import Outcome

REFRESH = 15.0  # seconds between two looks at the metrics of the cells


class Overview:
    """Prints a line for each cell that ends, and on a terminal a bar of the epochs of all cells."""

    def __init__(self, cells: Sequence[Cell], out: Path, workers: int | None, show: bool) -> None:
        self.out, self.show = out, show
        self.times = Times(cells, out, workers)
        self.done = self.times.done()
        self._bar = tqdm(
            desc=self._text(),
            total=self.times.epochs(),
            initial=self.times.completed(),
            disable=None if show else True,  # None: only on a terminal
            leave=False,
            bar_format="{desc} |{bar}|",
        )
        self._looked = time.monotonic()

    def __enter__(self) -> "Overview":
        if self.show and self.done:
            self._print(f"{self.done} of {self.times.total} cells are done already")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Report how the work on a cell ended."""
        self.times.look(cell)
        self.done += outcome.kind == "done"
        if not self.show:
            return
        if outcome.kind == "done":
            count = f"[{self.done}/{self.times.total}]"
            self._print(f"{count} {cell.name}: done{self._time_left()}")
        elif outcome.kind == "failed":
            log = log_path(self.out, cell.name)
            self._print(f"{cell.name}: failed: {outcome.reason}; log: {log}", error=True)
        elif outcome.kind == "in use":
            self._print(f"{cell.name}: waits for another process, which works on it")

    def stopping(self) -> None:
        """Report that the runs are saving their checkpoints."""
        if self.show:
            self._print("stopping: each run saves its checkpoint", error=True)

    def update(self) -> None:
        """Look at the metrics of the cells now and then, for the bar."""
        if self._bar.disable or time.monotonic() < self._looked + REFRESH:
            return
        self._looked = time.monotonic()
        self.times.look_at_all()
        self._bar.n = self.times.completed()
        self._bar.set_description_str(self._text())

    def _text(self) -> str:
        epochs = f"{self.times.completed()}/{self.times.epochs()} epochs"
        return f"{self.done}/{self.times.total} cells, {epochs}{self._time_left()}"

    def _time_left(self) -> str:
        seconds = self.times.left()
        return "" if not seconds else f", about {duration(seconds)} left"

    def _print(self, text: str, error: bool = False) -> None:
        with tqdm.external_write_mode():
            print(text, file=sys.stderr if error else sys.stdout, flush=True)
