"""An evaluation that is stored in a folder: `evaluate_run` and `evaluate_target`.

They write outcomes.csv, a row per image and attack, and evaluation.json, with counts, intervals and
diagnostics (docs/evaluation.md). If they are interrupted, the same call resumes after the last
batch.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn
from tqdm import tqdm

from ..data import as_data
from ..devices import choose_device
from ..errors import InputError, TakenError
from ..model_card import write_card
from ..networks import torch_defaults
from ..process_settings import restored_settings
from ..random_numbers import preserved_random_state
from ..run_folder import RunFolder
from ..runs import CONFIG
from ..stopping import PATIENCE, PassStopped, stoppable
from .curves import (
    CONVERGENCE,
    CONVERGENCE_ACCURACY,
    CURVE_OUTCOMES,
    FROM_CURVE,
    add_convergence,
    add_curve,
    run_curve,
    trace_batches,
    write_convergence,
    write_curve,
)
from .diagnostics import run_diagnostics
from .evidence import Evidence
from .outcomes import OUTCOMES, Record
from .preparation import Prepared, prepare
from .runner import (
    NO_ATTACK,
    Attack,
    run_attack,
)
from .settings import Settings
from .summary import (
    save,
    start_or_resume,
    update_accuracies,
    with_free_folder,
)
from .tables import attack_row, footer, header
from .targets import Target, open_run
from .unused_options import unused_options


class EvaluationStopped(Exception):  # noqa: N818  not an error: a signal came
    """The evaluation was stopped; `reason` is the signal's number."""

    def __init__(self, folder: Path, reason: int) -> None:
        super().__init__(f"stopped: run the same command to resume in {folder}")
        self.folder, self.reason = folder, reason


def evaluate_run(
    folder: Path | str,
    settings: Settings | None = None,
    *,
    model: nn.Module | str | None = None,
    data: Any = None,
    data_dir: Path | None = None,
    out: Path | str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate the network of a run and store the result, as `evaluate_target` does.

    `model` is as in `load`. `data` are those of training, in the form in which `fit` got them, and
    needed only if they were passed in memory. Default `out`: the run's folder, or a new folder
    inside it if it holds an evaluation with other options.
    """
    settings = settings or Settings()
    data = None if data is None else as_data(data)
    target = open_run(folder, model=model, data=data, data_dir=data_dir, out=out)
    if out is None and not options.get("overwrite"):
        target = with_free_folder(target, settings)
    return evaluate_target(target, settings, **options)


@restored_settings()
@torch_defaults()
def evaluate_target(
    target: Target,
    settings: Settings,
    *,
    device: str = "auto",
    overwrite: bool = False,
    show: bool = False,
    on_line: Callable[[str], object] = lambda line: None,
    stop: Callable[[], int | None] = lambda: None,
    command: str | None = None,
) -> dict[str, Any]:
    """Evaluate a target and store the result in its folder.

    Parameters
    ----------
    target
        From `open_target` or `open_run`.
    settings
        Default eps and norm: the target's.
    device
        As in the options of training.
    overwrite
        Start again if the folder holds an evaluation.
    show
        Show a progress bar, on a terminal.
    on_line
        Called with each line of the table as soon as it is known.
    stop
        Called after each batch, and in the passes of a batch that takes longer than 2 seconds. If
        it returns a number, `EvaluationStopped` is raised with it; a batch in progress is lost.
    command
        The command to record. Default: that of this process.

    Returns
    -------
    The content of evaluation.json.

    Raises
    ------
    ValueError
        If options do not fit, or differ from those of the evaluation in the folder.
    ArithmeticError
        If an attack returned images outside the ball or the bounds, or the network returned
        NaN.
    """
    with RunFolder(target.folder) as folder:
        _check_folder(folder, target)
        settings = settings.complete(target.eps, target.norm, target.data.bounds)
        torch_device = choose_device(device)
        x, y = target.data.test_x, target.data.test_y
        bounds, classes = target.data.bounds, len(target.data.classes)
        prepared = prepare(settings, target.model, x, y, torch_device, bounds, classes)
        settings = replace(settings, batch=prepared.size.images)
        content, record = start_or_resume(
            folder,
            target,
            settings,
            prepared.data.images,
            prepared.attacks,
            overwrite=overwrite,
            command=command,
            device=torch_device,
        )
        stored = _StoredEvaluation(folder, settings, prepared, content, record, on_line, stop, show)
        stored.run_until_stopped()
        if folder.has(CONFIG) and folder.read_json(CONFIG)["config"] == target.config:
            write_card(folder, content["target"]["weights_sha256"])
    return content


def _check_folder(folder: RunFolder, target: Target) -> None:
    """Raise TakenError if the folder is that of another run."""
    if folder.has(CONFIG) and folder.read_json(CONFIG).get("config") != target.config:
        raise TakenError(
            f"{folder.path} is the folder of another run than {target.name}: choose another --out"
        )


@dataclass
class _StoredEvaluation:
    """An evaluation in a folder. Each part continues where an earlier process stopped."""

    folder: RunFolder
    settings: Settings
    prepared: Prepared
    content: dict[str, Any]
    record: Record
    on_line: Callable[[str], object]
    stop: Callable[[], int | None]
    show: bool
    bar: Any = field(default=None, init=False)
    saved: float = field(default=0.0, init=False)
    batch_began: float = field(default_factory=time.monotonic, init=False)

    def run_until_stopped(self) -> None:
        """`run`, but a signal also stops it during an attack."""
        try:
            with ExitStack() as stack:
                for network in self.prepared.networks:
                    stack.enter_context(stoppable(network, self.stop_in_batch))
                self.run()
        except PassStopped as stopped:
            self.end(stopped.reason)

    def run(self) -> None:
        prepared = self.prepared
        started = list(self.record.predictions)
        # An attack that was interrupted runs first: rows are in the order of the file.
        attacks = sorted(
            prepared.attacks,
            key=lambda a: started.index(a.name) if a.name in started else len(started),
        )
        for note in unused_options(self.settings, len(self.record.images)):
            self.on_line(f"note: {note}")
        self.on_line(header(self.content))
        with preserved_random_state():
            for attack in (NO_ATTACK, *attacks):
                self.run_attack(attack)
                self.on_line(attack_row(attack.name, self.content))
            if self.settings.curve:
                self.run_curve()
            for name in self.attacks_of_before():
                self.on_line(attack_row(name, self.content))
            if FROM_CURVE in self.content["accuracy"]:
                self.on_line(attack_row(FROM_CURVE, self.content))
            if self.settings.convergence is not None:
                self.run_convergence()
            if self.settings.diagnostics and self.content["diagnostics"] is None:
                torch.manual_seed(self.settings.seed)
                evidence = Evidence.of(
                    prepared.model, prepared.data, self.settings, self.record, prepared.bounds
                )
                self.content["diagnostics"] = run_diagnostics(evidence)
        self.close_bar()
        self.record.check_file()
        self.content["finished"] = True
        self.folder.finish((OUTCOMES, CURVE_OUTCOMES))
        self.save()
        self.on_line(footer(self.content))

    def attacks_of_before(self) -> list[str]:
        """The stored attacks that were not requested now. They count for the worst one too."""
        now = {NO_ATTACK.name, *(attack.name for attack in self.prepared.attacks)}
        return [
            name
            for name in self.content["accuracy"]
            if name in self.content["attacks"] and name not in now
        ]

    def run_attack(self, attack: Attack) -> None:
        """Run an attack on the batches that the record does not have yet."""
        entry = self.content["attacks"][attack.name]
        self.show_bar(attack.label, len(self.record.images), self.record.done(attack.name))
        model, data, size = self.prepared.model, self.prepared.data, self.prepared.size
        for n, seconds in run_attack(attack, model, data, self.settings, self.record, size):
            if entry["seconds"] is not None:
                entry["seconds"] = round(entry["seconds"] + seconds, 3)
            self.after_batch(n)
        update_accuracies(self.content, self.record, self.settings)
        self.save()

    def run_curve(self) -> None:
        """Write curve_outcomes.csv and curve.csv, and add the curve to the outcomes."""
        self.record_options("curve")
        curve = Record(
            self.record.images,
            self.record.labels,
            self.folder,
            CURVE_OUTCOMES,
            "eps",
        )
        done = sum(map(len, curve.predictions.values()))
        self.show_bar("curve", len(curve.images) * len(self.settings.curve), done)
        prepared = self.prepared
        run_curve(
            prepared.model,
            prepared.data,
            self.settings,
            curve,
            prepared.size,
            self.after_batch,
            prepared.bounds,
        )
        write_curve(self.folder, curve)
        add_curve(self.content, self.record, curve, self.settings, self.save)
        update_accuracies(self.content, self.record, self.settings)
        self.save()

    def run_convergence(self) -> None:
        """Write convergence.csv and convergence_accuracy.csv, and add the trace to the outcomes. It
        is stored only as a whole: if it is stopped, it starts again."""
        self.record_options("convergence")
        files = (CONVERGENCE, CONVERGENCE_ACCURACY)
        if all(self.folder.has(name) for name in files):
            for name in files:
                self.folder.read(name)  # checks them
            return
        self.show_bar("convergence", self.settings.convergence or 0, 0)
        prepared = self.prepared
        trace = trace_batches(
            prepared.model,
            prepared.data,
            self.settings,
            prepared.size,
            self.bar.update,
            prepared.bounds,
        )
        predictions = trace.predictions.tolist()
        add_convergence(self.content, self.record, predictions, self.settings, self.save)
        update_accuracies(self.content, self.record, self.settings)
        self.save()
        write_convergence(self.folder, self.record.images, trace)

    def record_options(self, part: str) -> None:
        """Record the options of a curve or a convergence. Raises ValueError if one with other
        options is stored."""
        requested, stored = self.settings.plain_parts()[part], self.content[part]
        if stored is not None and stored != requested:
            raise InputError(
                f"{self.folder.path} holds a {part} with other options: {stored}, not {requested}. "
                "Choose another --out, or --overwrite it"
            )
        self.content[part] = requested
        self.save()

    def after_batch(self, images: int) -> None:
        """Update the bar, save at most once per second (the rows are saved already), and stop if
        requested."""
        self.bar.update(images)
        self.batch_began = time.monotonic()
        reason = self.stop()
        if reason is not None:
            self.end(reason)
        if time.monotonic() > self.saved + 1:
            self.save()
            self.saved = time.monotonic()

    def stop_in_batch(self) -> int | None:
        """What `stop` returns, once the batch has lasted for a while."""
        return self.stop() if time.monotonic() > self.batch_began + PATIENCE else None

    def end(self, reason: int) -> NoReturn:
        """Save, and raise `EvaluationStopped`."""
        self.save()
        self.close_bar()
        raise EvaluationStopped(self.folder.path, reason)

    def save(self) -> None:
        self.content["options"]["batch"] = self.prepared.size.images
        save(self.folder, self.content)

    def show_bar(self, what: str, total: int, done: int) -> None:
        self.close_bar()
        hidden = None if self.show else True
        self.bar = tqdm(desc=what, total=total, initial=done, leave=False, disable=hidden)

    def close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
