"""A sweep: every cell is trained and evaluated, whatever was done before."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import load_data
from ..devices import check_threads
from ..errors import InputError, MissingFileError
from ..evaluation.runner import choose_images
from ..files import make_folders
from ..runs import read_run
from .cells import Cell, merged
from .engines import make_runner
from .local import Runner
from .log import LOGS
from .progress import Overview
from .state import State, Status, check_same_training, status_of
from .work import Outcome, Stop, Task, note_failure

POLL = 0.5  # seconds between two looks at what has ended
AGAIN = 5.0  # seconds until a cell that another process works on is tried again
RUNTIME = ("data_dir", "device", "threads")


class SweepStopped(Exception):  # noqa: N818  nothing went wrong
    """The sweep was stopped. Each run has its checkpoint; the same call resumes them.

    `reason` is the value that `stop` returned, such as the number of a signal.
    """

    def __init__(self, out: Path, reason: int) -> None:
        super().__init__(f"stopped: run the same command to resume in {out}")
        self.reason = reason


@dataclass(frozen=True)
class Summary:
    """The result of a sweep.

    Attributes
    ----------
    states
        The state of each cell, by its name.
    failed
        By name of the cells that are not done the reason, with the last line of their log.
    """

    states: dict[str, Status]
    failed: dict[str, str]

    @classmethod
    def of(cls, cells: Sequence[Cell], out: Path, reasons: Mapping[str, str]) -> "Summary":
        """Read the states. `reasons` are known ones, by the name of the cell."""
        states = {cell.name: status_of(cell, out) for cell in cells}
        failed = {
            name: reasons.get(name) or status.failure or status.state.value
            for name, status in states.items()
            if not status.progress.is_done
        }
        return cls(states, failed)

    def __str__(self) -> str:
        counts = Counter(status.state for status in self.states.values())
        listed = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
        return f"{len(self.states)} cells: {listed}"


def run_cells(
    cells: Sequence[Cell],
    out: Path | str,
    runner: str | Runner = "local",
    *,
    workers: int | None = None,
    retries: int = 1,
    threads: int | None = None,
    data_dirs: Mapping[str, Path | str] | None = None,
    show: bool = False,
    stop: Callable[[], int | None] = lambda: None,
    **options: Any,
) -> Summary:
    """Train and evaluate cells, each in the folder `out`/NAME. What is done is skipped, what was
    begun is resumed, and what failed before is tried again.

    Parameters
    ----------
    cells
        From `read_grid`, or made by hand. Equal ones are worked on once.
    out
        Folder of the sweep: a run folder for each cell, and `logs` with a log for each.
    runner
        "local", "slurm" or "ray".
    workers
        Number of cells at once. Default: on this machine one per core, or one per GPU; with Slurm
        and Ray as many as there is room for.
    retries
        How often a command that crashed is started again. One that reports an error of its input
        would fail again in the same way, and is not.
    threads
        CPU threads of each cell, if it does not set them. Default: on this machine the cores
        divided by the workers, elsewhere 1.
    data_dirs
        Folders of the data, by data set, for cells that do not name one.
    show
        Print a line when a cell ends, with the time that is left.
    stop
        Called often. A value other than None stops the sweep: each run saves its checkpoint, and
        `SweepStopped` is raised. KeyboardInterrupt also stops it, and is raised again.
    options
        Of the runner: `sense.sweep.slurm.SlurmRunner` and `sense.sweep.ray_cluster.RayRunner` have
        some.

    Returns
    -------
    The state of each cell. Cells that failed do not stop the others.

    Raises
    ------
    InputError
        Before anything is run, if something does not fit: the data, or a run in a cell's folder
        with other options.
    """
    cells, out = merged(cells), Path(out).absolute()
    check_options(workers, retries, threads)
    folders = {name: Path(folder).absolute() for name, folder in (data_dirs or {}).items()}
    stored = {cell.name: status_of(cell, out).progress for cell in cells}
    begun = [cell for cell in cells if stored[cell.name].begun]
    to_do = [cell for cell in cells if not stored[cell.name].is_done]
    for cell in begun:
        check_same_training(cell, out / cell.name)
    check_sources(to_do, cells, out)
    check_data(to_do, begun, out, folders)
    reasons: dict[str, str] = {}
    if to_do:
        make_folders(out / LOGS)
        engine = make_runner(runner, out, workers, threads, **options)
        tasks = [
            Task(cell, out, retries, runtime_of(cell, threads or engine.threads, folders))
            for cell in to_do
        ]
        with Overview(cells, out, engine.workers, show) as overview:
            reasons = run_tasks(engine, tasks, overview, stop)
    summary = Summary.of(cells, out, reasons)
    if (reason := stop()) is not None and summary.failed.keys() - reasons.keys():
        raise SweepStopped(out, reason)
    return summary


def run_tasks(
    engine: Runner,
    tasks: Sequence[Task],
    overview: Overview,
    stop: Callable[[], int | None],
) -> dict[str, str]:
    """Give the tasks to the engine and wait until all have ended. A cell that another process works
    on is tried again until it is done; a signal stops all. Returns why cells failed, by name."""
    reasons: dict[str, str] = {}
    waiting: list[Task] = []
    running, again, stopped = len(tasks), 0.0, False
    try:
        engine.start(tasks)
        while running or waiting:
            for task, outcome in engine.ended(POLL):
                running -= 1
                if outcome.kind == "in use" and not stopped:
                    waiting.append(task)
                elif outcome.kind == "stopped" and not stopped:
                    outcome = Outcome("failed", "stopped by a signal from elsewhere")
                    note_failure(task, outcome.reason)
                if outcome.kind == "failed":
                    reasons[task.cell.name] = outcome.reason
                overview.ended(task.cell, outcome)
            if not stopped and stop() is not None:
                stopped, waiting = True, []
                overview.stopping()
                engine.stop(Stop.SAVE)
            if waiting and time.monotonic() >= again:
                again = time.monotonic() + AGAIN
                engine.start(waiting)
                running, waiting = running + len(waiting), []
            overview.update()
    except BaseException:
        engine.stop(Stop.KILL if stopped else Stop.SAVE)
        raise
    finally:
        engine.close()
    return reasons


def runtime_of(cell: Cell, threads: int | None, data_dirs: Mapping[str, Path]) -> dict[str, Any]:
    """Return the options of where and how a cell runs."""
    own = {name: cell.options[name] for name in RUNTIME if name in cell.options}
    found: dict[str, Any] = {} if threads is None else {"threads": threads}
    if cell.config.dataset in data_dirs:
        found["data_dir"] = str(data_dirs[cell.config.dataset])
    if "data_dir" in own:
        own["data_dir"] = str(Path(own["data_dir"]).absolute())
    return found | own


def check_options(workers: int | None, retries: int, threads: int | None) -> None:
    if workers is not None and workers < 1:
        raise InputError(f"workers must be a whole number >= 1, got {workers}")
    if retries < 0:
        raise InputError(f"retries must be a whole number >= 0, got {retries}")
    if threads is not None:
        check_threads(threads)


def check_data(
    to_do: Sequence[Cell], begun: Sequence[Cell], out: Path, data_dirs: Mapping[str, Path]
) -> None:
    """Load the data that is needed once, so that it is downloaded once, and raise InputError if it
    is missing, is not that of a stored run, or has too few test images.

    Data that only complete cells have are compared with them too, if a folder is named and is
    there: nothing is downloaded for them."""
    loaded: dict[tuple[str, Path | None], tuple[str, int]] = {}

    def load(key: tuple[str, Path | None]) -> None:
        if key not in loaded:
            data = load_data(*key)
            loaded[key] = data.sha256, len(data.test_x)

    for cell in to_do:
        key = data_key(cell, data_dirs)
        load(key)
        for settings in cell.settings():
            choose_images(loaded[key][1], settings.n, settings.draw)
    for cell in begun:
        key, folder = data_key(cell, data_dirs), out / cell.name
        if key[1] is not None:
            with suppress(MissingFileError):
                load(key)
        if key in loaded:
            stored = read_run(folder)[1]["data"]["sha256"]
            if stored != loaded[key][0]:
                raise InputError(
                    f"the run in {folder} was made with other data: SHA-256 {stored}, these images "
                    f"have {loaded[key][0]}. Choose another --out, or pass the folder of its data"
                )


def check_sources(to_do: Sequence[Cell], cells: Sequence[Cell], out: Path) -> None:
    """Raise InputError for the source of a transfer attack that is neither a run nor a cell of this
    sweep."""
    own = {(out / cell.name).resolve() for cell in cells}
    for cell in to_do:
        for settings in cell.settings():
            source = settings.source
            if source is None or source.resolve() in own:
                continue
            if not source.is_dir():
                raise MissingFileError(
                    f"no folder {source}, the source of transfer: pass the folder of a run"
                )
            try:
                read_run(source)
            except InputError as error:
                raise InputError(f"the source of transfer is not a run: {error}") from None


def data_key(cell: Cell, data_dirs: Mapping[str, Path]) -> tuple[str, Path | None]:
    folder = runtime_of(cell, None, data_dirs).get("data_dir")
    return cell.config.dataset, None if folder is None else Path(folder)
