"""Natural and robust accuracy of a trained network.

`evaluate` returns an `Evaluation`. `evaluate_run` and `evaluate_target` also store it in a folder:
outcomes.csv, a row per image and attack, and evaluation.json, with counts, intervals and
diagnostics (docs/evaluation.md). If they are interrupted, the same call resumes after the last
batch. Accuracy under an attack is an upper bound of robust accuracy.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ..attacks.autoattack import number_of_classes
from ..attacks.geometry import Bounds, bounds_on
from ..data import Data, ImageData, Scaling, TableData, as_data
from ..data.forms import images_and_labels, is_array
from ..data.images import as_images, as_labels
from ..devices import choose_device, to_device_for_evaluation
from ..errors import InputError
from ..model_card import write_card
from ..networks import torch_defaults
from ..process_settings import restored_settings
from ..random_numbers import preserved_random_state
from ..run_folder import RunFolder
from ..runs import CONFIG, read_run
from ..statistics import Proportion, binomial_p_value
from ..stopping import PATIENCE, PassStopped, stoppable
from .batch_size import BatchSize, choose_batch_size
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
from .diagnostics import CHANCE, NORMALISED_HINT, run_diagnostics
from .evidence import MINIMUM, Evidence
from .outcomes import OUTCOMES, CorrectMatrix, Outcome, Record
from .padded import with_graphs
from .runner import (
    NO_ATTACK,
    Attack,
    EvaluatedImages,
    build_attacks,
    check_attackable,
    choose_images,
    evaluated_images,
    run_attack,
)
from .settings import Settings, settings_from_plain
from .summary import (
    accuracies,
    save,
    start_or_resume,
    update_accuracies,
    with_free_folder,
)
from .tables import WIDTH, WORST_LABEL, attack_row, ball_words, footer, header
from .targets import Target, open_run, open_source

Images = Tensor | NDArray[Any]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The result of `evaluate`. Printed, it shows the accuracies with their intervals.

    Attributes
    ----------
    accuracy
        By attack, "natural" first, and "worst" (of all attacks in the ball, per image): k of n
        images that are correctly classified, with Wilson's 95 % interval.
    outcomes
        The prediction for each image under each attack.
    correct
        The matrix of images by attacks: whether an image is correctly classified.
    settings
        The complete settings.
    labels
        Readable name of each attack, such as "PGD-100 x 5".
    """

    accuracy: dict[str, Proportion]
    outcomes: list[Outcome]
    correct: CorrectMatrix
    settings: Settings
    labels: dict[str, str]

    def __str__(self) -> str:
        assert self.settings.norm is not None
        title = (
            f"{len(self.correct.images)} images, "
            f"{ball_words(self.settings.radius, self.settings.norm)}"
        )
        rows = [
            f"{self.labels.get(name, WORST_LABEL):<{WIDTH}} {accuracy}"
            for name, accuracy in self.accuracy.items()
        ]
        heading = f"{'attack':<{WIDTH}} accuracy, 95 % Wilson, k / n"
        return "\n".join([title, heading, *rows, *self.notes])

    __repr__ = __str__

    @property
    def notes(self) -> list[str]:
        """A sentence if the network is not better than chance."""
        labels, natural = torch.tensor(self.correct.labels), self.accuracy[NO_ATTACK.name]
        most = int(labels.bincount().max())
        if len(labels) < MINIMUM or most == len(labels):
            return []
        if binomial_p_value(natural.k, natural.n, most / natural.n) <= CHANCE:
            return []
        return [f"note: the network is not better than chance. {NORMALISED_HINT}"]


@restored_settings()
@torch_defaults()
def evaluate(
    model: nn.Module | Path | str,
    x: Any = None,
    y: Images | None = None,
    settings: Settings | None = None,
    *,
    bounds: Bounds = (0, 1),
    **options: Any,
) -> Evaluation:
    """Evaluate a network on images, without attack and under attacks. Writes no files.

        sense.evaluate(model, x, y, eps=8 / 255, attacks=["pgd", "autoattack"])

    Parameters
    ----------
    model
        A module that takes pixels from 0 to 1 and returns logits. One that takes normalised images
        is passed as `sense.Normalised(network, mean, std)`. It is moved to the device of x and left
        in evaluation mode.
        Or the folder of a run, whose network is evaluated; its test images, eps and norm are then
        the defaults.
    x, y
        Images (bytes of 0 to 255, or floating point of 0 to 1) and labels: tensors or numpy arrays
        in the forms of `ImageData`. For the run of a table: features in their own units, which are
        scaled as those of training. For a module on features: scaled features, n x d. In place of
        both, a dataset or another form of `as_data`, whose test part is used.
    settings, options
        A `Settings` object, or its options as keywords: those of `python -m sense.evaluate --help`,
        with `_` in place of `-`. `eps` is required without a run. Diagnostics, the curve and
        convergence need `sense.evaluation.evaluate.evaluate_run`, which writes files.
    bounds
        Minimum and maximum of an attacked pixel or feature, as in `pgd`, for a module; a run has
        its own.

    Returns
    -------
    An `Evaluation`: accuracies with their intervals, and all outcomes.

    Raises
    ------
    ValueError
        If options do not fit, or images or labels are missing.
    ArithmeticError
        If an attack returned images outside the ball or the bounds, or the network returned NaN.
    """
    if settings is not None and options:
        raise InputError("pass settings, or options as keywords, not both")
    settings = settings_from_plain(options) if settings is None else settings
    if settings.curve or settings.convergence is not None:
        raise InputError("curve and convergence are stored in a folder: use evaluate_run")
    if x is not None and y is None and not is_array(x):
        bounds = x.bounds if isinstance(x, Data) else bounds
        x, y = images_and_labels(x)
    device = None
    eps = norm = None
    if not isinstance(model, nn.Module):
        target, device = open_run(model, data=_test_data(model, x, y)), choose_device("auto")
        model, eps, norm, bounds = target.model, target.eps, target.norm, target.data.bounds
        if (x is None) == (y is None):
            x, y = target.data.test_x, target.data.test_y
    if x is None or y is None:
        raise InputError("pass the images x and their labels y, or a dataset in place of both")
    images, labels = as_images(x), as_labels(y)
    if not 1 <= len(images) == len(labels):
        raise InputError(
            f"at least one image and as many labels as images are needed: got {len(images)} images "
            f"and {len(labels)} labels"
        )
    settings = settings.complete(eps, norm, bounds)
    return _evaluate_images(model, images, labels, settings, device or images.device, bounds)


def _test_data(folder: Path | str, x: Any, y: Any) -> Data | None:
    """Return the test data of a run: images, or features in their own units. None for the test
    images that the run itself names."""
    description = read_run(folder)[1]["data"]
    is_table = "features" in description
    if x is None or y is None:
        if is_table:
            raise InputError(
                f"the run in {folder} was trained on a table: pass features x and labels y"
            )
        return None
    classes = tuple(description["classes"])
    if is_table:
        scaling = Scaling.from_plain(description["features"])
        data: Data = TableData.for_testing("table", x, y, classes, scaling)
    else:
        data = ImageData.from_test_images("arrays", x, as_labels(y), classes)
    return data.with_sha256(description["sha256"])  # data that the run has not seen


def _evaluate_images(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    settings: Settings,
    device: torch.device,
    bounds: Bounds,
) -> Evaluation:
    model = to_device_for_evaluation(model, device)
    images = choose_images(len(x), settings.n, settings.draw)
    chosen = evaluated_images(images, x, y, device)
    source = open_source(settings, device)
    classes = number_of_classes(model, chosen.x) if "autoattack" in settings.attacks else None
    attacks = build_attacks(settings, source, bounds_on(bounds, device), classes)
    model = check_attackable(model, chosen.x, y, attacks)
    size = choose_batch_size(settings.batch, model, chosen.x)
    model = with_graphs(model, chosen.x, size.images)
    record = Record(images, y[images].tolist())
    with preserved_random_state():
        for attack in (NO_ATTACK, *attacks):
            for _ in run_attack(attack, model, chosen, settings, record, size):
                pass
    ball = (settings.radius, settings.lp)
    in_ball = ["natural", *(a.name for a in attacks if (a.eps, a.norm) == ball)]
    correct = record.correct()
    return Evaluation(
        accuracies(correct, in_ball),
        record.outcomes(),
        correct,
        settings,
        {attack.name: attack.label for attack in (NO_ATTACK, *attacks)},
    )


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
        settings = settings.complete(target.eps, target.norm, target.data.bounds)
        images = choose_images(len(target.data.test_x), settings.n, settings.draw)
        torch_device = choose_device(device)
        source = open_source(settings, torch_device)
        bounds = bounds_on(target.data.bounds, torch_device)
        attacks = build_attacks(settings, source, bounds, len(target.data.classes))
        model = to_device_for_evaluation(target.model, torch_device)
        x, y = target.data.test_x, target.data.test_y
        chosen = evaluated_images(images, x, y, torch_device)
        model = check_attackable(model, chosen.x, y, attacks)
        if source is not None:
            check_attackable(source, chosen.x, y, attacks)
        size = choose_batch_size(settings.batch, model, chosen.x)
        model = with_graphs(model, chosen.x, size.images)
        settings = replace(settings, batch=size.images)
        content, record = start_or_resume(
            folder,
            target,
            settings,
            images,
            attacks,
            overwrite=overwrite,
            command=command,
            device=torch_device,
        )
        stored = _StoredEvaluation(
            folder, settings, model, chosen, size, content, record, bounds, on_line, stop, show
        )
        networks = [model] if source is None else [model, source]
        stored.run_until_stopped(attacks, networks)
        if folder.has(CONFIG) and folder.read_json(CONFIG)["config"] == target.config:
            write_card(folder, content["target"]["weights_sha256"])
    return content


@dataclass
class _StoredEvaluation:
    """An evaluation in a folder. Each part continues where an earlier process stopped."""

    folder: RunFolder
    settings: Settings
    model: nn.Module
    data: EvaluatedImages
    size: BatchSize
    content: dict[str, Any]
    record: Record
    bounds: Bounds
    on_line: Callable[[str], object]
    stop: Callable[[], int | None]
    show: bool
    bar: Any = field(default=None, init=False)
    saved: float = field(default=0.0, init=False)
    batch_began: float = field(default_factory=time.monotonic, init=False)

    def run_until_stopped(self, attacks: list[Attack], networks: list[nn.Module]) -> None:
        """`run`, but a signal also stops it in the midst of an attack."""
        try:
            with ExitStack() as stack:
                for network in networks:
                    stack.enter_context(stoppable(network, self.stop_in_batch))
                self.run(attacks)
        except PassStopped as stopped:
            self.end(stopped.reason)

    def run(self, attacks: list[Attack]) -> None:
        started = list(self.record.predictions)
        # An attack that was interrupted runs first: rows are in the order of the file.
        attacks = sorted(
            attacks, key=lambda a: started.index(a.name) if a.name in started else len(started)
        )
        self.on_line(header(self.content))
        with preserved_random_state():
            for attack in (NO_ATTACK, *attacks):
                self.run_attack(attack)
                self.on_line(attack_row(attack.name, self.content))
            if self.settings.curve:
                self.run_curve()
            if FROM_CURVE in self.content["accuracy"]:
                self.on_line(attack_row(FROM_CURVE, self.content))
            if self.settings.convergence is not None:
                self.run_convergence()
            if self.settings.diagnostics and self.content["diagnostics"] is None:
                torch.manual_seed(self.settings.seed)
                evidence = Evidence.of(
                    self.model, self.data, self.settings, self.record, self.bounds
                )
                self.content["diagnostics"] = run_diagnostics(evidence)
        self.close_bar()
        self.record.check_file()
        self.content["finished"] = True
        self.folder.finish((OUTCOMES, CURVE_OUTCOMES))
        self.save()
        self.on_line(footer(self.content))

    def run_attack(self, attack: Attack) -> None:
        """Run an attack on the batches that the record does not have yet."""
        entry = self.content["attacks"][attack.name]
        self.show_bar(attack.label, len(self.record.images), self.record.done(attack.name))
        for n, seconds in run_attack(
            attack, self.model, self.data, self.settings, self.record, self.size
        ):
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
        run_curve(
            self.model,
            self.data,
            self.settings,
            curve,
            self.size,
            self.after_batch,
            self.bounds,
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
        trace = trace_batches(
            self.model, self.data, self.settings, self.size, self.bar.update, self.bounds
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
        self.content["options"]["batch"] = self.size.images
        save(self.folder, self.content)

    def show_bar(self, what: str, total: int, done: int) -> None:
        self.close_bar()
        hidden = None if self.show else True
        self.bar = tqdm(desc=what, total=total, initial=done, leave=False, disable=hidden)

    def close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
