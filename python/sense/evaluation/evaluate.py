"""Natural and robust accuracy of a network on images, in memory: `evaluate`.

`stored_evaluation` evaluates runs and stores the results in their folders. Accuracy under an attack
is an upper bound of robust accuracy.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..attacks.arguments import check_finite_pixels, check_not_negative
from ..attacks.geometry import Bounds
from ..data import Data, ImageData, Scaling, TableData
from ..data.forms import images_and_labels, is_array
from ..data.images import as_images, as_labels
from ..devices import choose_device
from ..errors import InputError
from ..networks import torch_defaults
from ..process_settings import restored_settings
from ..random_numbers import preserved_random_state
from ..runs import read_run
from ..statistics import Proportion, binomial_p_value
from .diagnostics import CHANCE, NORMALISED_HINT
from .evidence import MINIMUM
from .outcomes import CorrectMatrix, Outcome, Record
from .preparation import prepare
from .runner import (
    NO_ATTACK,
    run_attack,
)
from .settings import Settings, settings_from_plain
from .summary import (
    accuracies,
)
from .tables import WIDTH, WORST_LABEL, ball_words
from .targets import open_run
from .unused_options import unused_options

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
        """Sentences about options without effect, and one if the network is not better than
        chance."""
        unused = unused_options(replace(self.settings, diagnostics=False), len(self.correct.images))
        return [f"note: {note}" for note in unused] + self._note_of_chance()

    def _note_of_chance(self) -> list[str]:
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
        convergence need `sense.evaluation.stored_evaluation.evaluate_run`, which writes files.
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
    if not isinstance(model, nn.Module | str | Path):
        raise InputError(
            "model must be a torch.nn.Module that gives logits, or the folder of a run, got a "
            f"{type(model).__name__}"
        )
    table = None
    if x is not None and y is None and not is_array(x):
        bounds = x.bounds if isinstance(x, Data) else bounds
        table = x if isinstance(x, TableData) else None
        x, y = images_and_labels(x)
    device = None
    eps = norm = None
    if not isinstance(model, nn.Module):
        data = _test_data(model, x, y, table)
        target, device = open_run(model, data=data), choose_device("auto")
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
    _check_values(images, labels)
    settings = settings.complete(eps, norm, bounds)
    return _evaluate_images(model, images, labels, settings, device or images.device, bounds)


def _check_values(images: Tensor, labels: Tensor) -> None:
    """Raise InputError for labels that are no classes, for images of another type than the network
    can take, and for NaN or infinite pixels."""
    if labels.ndim != 1:
        raise InputError(
            f"y must have one label for each image, shape ({len(images)},), got shape "
            f"{tuple(labels.shape)}"
        )
    check_not_negative(labels)
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(
            "x must be bytes from 0 to 255 or floating point from 0 to 1, got "
            f"{str(images.dtype).removeprefix('torch.')}: convert x to one of them"
        )
    if isinstance(images, Tensor) and images.is_floating_point():
        check_finite_pixels(images)


def _test_data(folder: Path | str, x: Any, y: Any, table: TableData | None) -> Data | None:
    """Return the test data of a run: images, features in their own units, or those of a table,
    which are scaled already. None for the test images that the run itself names."""
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
        if table is not None and table.scaling == scaling:
            data: Data = TableData("table", x, y, x, y, classes, scaling)
        else:
            features = x if table is None else _unscaled(table, scaling)
            data = TableData.for_testing("table", features, y, classes, scaling)
    else:
        data = ImageData.from_test_images("arrays", x, as_labels(y), classes)
    return data.with_sha256(description["sha256"])  # data that the run has not seen


def _unscaled(table: TableData, scaling: Scaling) -> NDArray[np.float64]:
    """Return the test features of a table in their own units, in the order of the scaling."""
    names = table.scaling.names
    if missing := [name for name in scaling.names if name not in names]:
        raise InputError(f"the table has no feature {missing[0]}, got {', '.join(names)}")
    return table.scaling.undo(table.test_x)[:, [names.index(name) for name in scaling.names]]


def _evaluate_images(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    settings: Settings,
    device: torch.device,
    bounds: Bounds,
) -> Evaluation:
    prepared = prepare(settings, model, x, y, device, bounds)
    data, attacks = prepared.data, prepared.attacks
    record = Record(data.images, data.y.tolist())
    with preserved_random_state():
        for attack in (NO_ATTACK, *attacks):
            for _ in run_attack(attack, prepared.model, data, settings, record, prepared.size):
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
