"""How accurate a trained network is, as images are and under attack.

    python -m sense.evaluate RUN                              PGD-100 with 5 restarts, all images
    python -m sense.evaluate RUN --attacks pgd autoattack --n 1000
    python -m sense.evaluate RUN OTHER                        both, and the paired comparison
    python -m sense.evaluate module:factory --weights FILE --dataset cifar10 --eps 0.0314

Writes outcomes.csv, a row per test image and attack, and evaluation.json, the counts with their
intervals and what they are worth (docs/evaluation.md). A process that dies loses one batch: the
same command goes on. Accuracy under an attack bounds robust accuracy from above.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ..data import ImageData
from ..data.images import as_images, as_labels
from ..devices import choose_device, to_device_for_evaluation
from ..errors import InputError
from ..networks import torch_defaults
from ..process_settings import restored_settings
from ..random_numbers import preserved_random_state
from ..run_folder import RunFolder
from .batches import Batch, attack_batches, choose_images, cut
from .case import Case
from .convergence import (
    CONVERGENCE,
    CONVERGENCE_ACCURACY,
    follow_batches,
    write_convergence,
)
from .curve import CURVE_OUTCOMES, extend_curve, write_curve
from .diagnostic_report import run_diagnostics
from .found import FROM_CURVE, add_convergence, add_curve
from .outcomes import OUTCOMES, Outcome, Record
from .output_folder import beside_others
from .runner import NATURAL, Attack, attackable, build_suite
from .settings import Settings
from .summary import begin, count, save
from .tables import attack_row, head, tail
from .targets import Target, open_run, open_source


class EvaluationStopped(Exception):  # noqa: N818  not an error: a signal came
    """The evaluation was stopped after a whole batch, for the reason (a signal's number)."""

    def __init__(self, folder: Path, reason: int) -> None:
        super().__init__(f"stopped; the same command goes on in {folder}")
        self.folder, self.reason = folder, reason


@restored_settings()
@torch_defaults()
def evaluate(
    model: nn.Module,
    x: Tensor | NDArray[Any],
    y: Tensor | NDArray[Any],
    settings: Settings,
    source: nn.Module | None = None,
) -> list[Outcome]:
    """The outcomes of all images x (0 to 255, or 0 to 1) with labels y, tensors or numpy arrays in
    the forms of `ImageData`. The model is left in evaluation mode.

    eps must be set; n, draw, diagnostics, curve and convergence of the settings are not used.
    `source` is the network that `transfer` makes its images on.
    """
    settings, x, y = settings.complete(None, None), as_images(x), as_labels(y)
    if not 1 <= len(x) == len(y):
        raise InputError(
            f"as many labels as images are needed, and one at least: got {len(x)} "
            f"images and {len(y)} labels"
        )
    suite = build_suite(settings, source)
    model = to_device_for_evaluation(model, x.device)
    batches = cut(range(len(x)), x, y, settings.batch, x.device)
    model = attackable(model, batches[0].x, y, suite)
    record = Record(range(len(x)), y.tolist(), settings.batch)
    with preserved_random_state():
        for attack in (NATURAL, *suite):
            for _ in attack_batches(attack, model, batches, settings, record):
                pass
    return record.outcomes()


def evaluate_run(
    folder: Path | str,
    settings: Settings | None = None,
    *,
    model: nn.Module | str | None = None,
    data: ImageData | None = None,
    data_dir: Path | None = None,
    out: Path | str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """`evaluate_target` of a run's folder. `model` is as in `load_model`. Without `out` results go
    to the run's folder, and where that holds an evaluation with other options, to one in it."""
    target = open_run(folder, model=model, data=data, data_dir=data_dir, out=out)
    if out is None and not options.get("overwrite"):
        target = beside_others(target, settings or Settings())
    return evaluate_target(target, settings or Settings(), **options)


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
    """Evaluate a target, and leave all files in its folder.

    Parameters
    ----------
    target
        From `open_target` or `open_run`.
    settings
        eps and norm are the target's unless given.
    device
        As in the configuration of a run.
    overwrite
        Begin anew where the folder holds an evaluation already.
    show
        Show a bar, where there is a terminal.
    on_line
        Called with a line of the table as soon as it is known.
    stop
        Asked after each batch; a value other than None raises `EvaluationStopped` with it.
    command
        What to note as the command that made it; this process's unless given.

    Returns
    -------
    What evaluation.json holds.

    Raises
    ------
    ValueError
        For options that do not fit, or are others than those of the evaluation in the folder.
    ArithmeticError
        Where an attack broke its rules, or the network gave NaN.
    """
    with RunFolder(target.folder) as folder:
        return _evaluate(folder, target, settings, device, overwrite, show, on_line, stop, command)


def _evaluate(
    folder: RunFolder,
    target: Target,
    settings: Settings,
    device: str,
    overwrite: bool,
    show: bool,
    on_line: Callable[[str], object],
    stop: Callable[[], int | None],
    command: str | None,
) -> dict[str, Any]:
    """`evaluate_target` into a folder, which is locked once all is ready."""
    settings = settings.complete(target.eps, target.norm)
    images = choose_images(target.data, settings.n, settings.draw)
    where = choose_device(device)
    source = open_source(settings, where)
    suite = build_suite(settings, source)
    model = to_device_for_evaluation(target.model, where)
    x, y = target.data.test_x, target.data.test_y
    batches = cut(images, x, y, settings.batch, where)
    model = attackable(model, batches[0].x, y, suite)
    if source is not None:
        attackable(source, batches[0].x, y, suite)
    content, record = begin(
        folder, target, settings, images, suite, overwrite=overwrite, command=command
    )
    begun = list(record.predictions)  # one that was left unfinished goes on first
    suite.sort(key=lambda attack: begun.index(attack.name) if attack.name in begun else len(begun))
    progress = Progress(folder, content, show, stop)
    on_line(head(content))
    with preserved_random_state():
        for attack in (NATURAL, *suite):
            run_attack(attack, model, batches, settings, record, progress)
            on_line(attack_row(attack.name, content))
        run_curve(model, batches, settings, record, progress)
        if FROM_CURVE in content["accuracy"]:
            on_line(attack_row(FROM_CURVE, content))
        run_convergence(model, batches, settings, record, progress)
        if settings.diagnostics and content["diagnostics"] is None:
            torch.manual_seed(settings.seed)
            content["diagnostics"] = run_diagnostics(
                Case.of(model, batches, settings, record)
            ).plain()
    progress.close()
    record.check_file()
    content["finished"] = True
    folder.finish((OUTCOMES, CURVE_OUTCOMES))
    save(folder, content)
    on_line(tail(content))
    return content


def run_attack(
    attack: Attack,
    model: nn.Module,
    batches: list[Batch],
    settings: Settings,
    record: Record,
    progress: "Progress",
) -> None:
    """The batches that the record has not yet; then the attack's count."""
    told = progress.content["attacks"][attack.name]
    progress.begin(attack.label, len(record.images), record.done(attack.name))
    for n, seconds in attack_batches(attack, model, batches, settings, record):
        if told["seconds"] is not None:
            told["seconds"] = round(told["seconds"] + seconds, 3)
        progress.step(n)
    count(progress.content, record, settings)
    save(progress.folder, progress.content)


def run_curve(
    model: nn.Module,
    batches: list[Batch],
    settings: Settings,
    outcomes: Record,
    progress: "Progress",
) -> None:
    """curve_outcomes.csv, curve.csv, which counts it, and what it says in the evaluation's ball."""
    if not settings.curve:
        return
    note_options("curve", settings, progress)
    record = Record(
        outcomes.images, outcomes.labels, settings.batch, progress.folder, CURVE_OUTCOMES, "eps"
    )
    done = sum(map(len, record.predictions.values()))
    progress.begin("curve", len(record.images) * len(settings.curve), done)
    extend_curve(model, batches, settings, record, progress.step)
    write_curve(progress.folder, record)
    add_curve(progress.content, outcomes, record, settings, progress.save)
    count(progress.content, outcomes, settings)
    progress.save()


def run_convergence(
    model: nn.Module,
    batches: list[Batch],
    settings: Settings,
    outcomes: Record,
    progress: "Progress",
) -> None:
    """convergence.csv, convergence_accuracy.csv, and what broke the images; not begun twice where
    they are there."""
    if settings.convergence is None:
        return
    note_options("convergence", settings, progress)
    if progress.folder.has(CONVERGENCE) and progress.folder.has(CONVERGENCE_ACCURACY):
        progress.folder.read(CONVERGENCE)
        progress.folder.read(CONVERGENCE_ACCURACY)
        return
    # It is short and kept only whole, so it is not stopped.
    progress.begin("convergence", settings.convergence, 0)
    course = follow_batches(model, batches, settings, progress.bar.update)
    broken = course.predictions.tolist()
    add_convergence(progress.content, outcomes, broken, settings, progress.save)
    count(progress.content, outcomes, settings)
    progress.save()
    write_convergence(progress.folder, outcomes.images, course)


def note_options(part: str, settings: Settings, progress: "Progress") -> None:
    """Note what a curve is made with. Raises ValueError where another is in the folder."""
    asked, before = settings.plain_parts()[part], progress.content[part]
    if before is not None and before != asked:
        raise InputError(
            f"{progress.folder.path} holds a {part} with other options: {before}, not {asked}. "
            "Choose another --out, or --overwrite it"
        )
    progress.content[part] = asked
    save(progress.folder, progress.content)


@dataclass
class Progress:
    """After each batch the bar, the question whether to stop, and, a second after the last time,
    evaluation.json, which holds no more than the seconds that the rows do not tell."""

    folder: RunFolder
    content: dict[str, Any]
    show: bool
    stop: Callable[[], int | None]
    bar: Any = None
    saved: float = 0.0

    def save(self) -> None:
        save(self.folder, self.content)

    def begin(self, what: str, total: int, done: int) -> None:
        self.close()
        self.bar = tqdm(
            desc=what, total=total, initial=done, leave=False, disable=None if self.show else True
        )

    def step(self, images: int) -> None:
        self.bar.update(images)
        reason = self.stop()
        if reason is not None or time.monotonic() > self.saved + 1:
            save(self.folder, self.content)
            self.saved = time.monotonic()
        if reason is not None:
            self.close()
            raise EvaluationStopped(self.folder.path, reason)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
