"""Accuracy under PGD by radius (--curve) and by step (--convergence; figures 8 and 9 of the paper).

An image that PGD breaks at a smaller radius, or at any step, is broken in the ball. So both also
add a row per image to outcomes.csv, like an attack, and count in the worst attack per image.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import Bounds, random_point
from ..csv_text import csv_text
from ..run_folder import RunFolder
from ..statistics import wilson
from .batch_size import BatchSize
from .outcomes import Record
from .runner import (
    Attack,
    EvaluatedImages,
    attack_images,
    build_attack,
    first_wrong,
    predict,
    record_in_batches,
    seeded_numbers,
)
from .settings import Settings

CURVE_OUTCOMES = "curve_outcomes.csv"
CURVE = "curve.csv"
CONVERGENCE = "convergence.csv"
CONVERGENCE_ACCURACY = "convergence_accuracy.csv"
FROM_CURVE, FROM_CONVERGENCE = "curve", "convergence"  # as attacks in outcomes.csv
INTERVAL = ("k", "n", "estimate", "lower", "upper")


def run_curve(
    model: nn.Module,
    data: EvaluatedImages,
    settings: Settings,
    record: Record,
    size: BatchSize,
    after_batch: Callable[[int], None] = lambda n: None,
    bounds: Bounds = (0, 1),
) -> None:
    """Run PGD at each radius of the curve, in increasing order, and add the predictions to the
    record. A misclassified image is not attacked again at larger radii.

    `after_batch` is called with the number of images of each batch.
    """
    earlier: list[str] = []
    for eps in settings.curve:
        at_eps, is_first = replace(settings, eps=eps), not earlier
        attack = build_attack("pgd", at_eps, bounds=bounds)

        def predictions_after(
            x: Tensor, y: Tensor, before: Tensor, attack: Attack = attack, is_first: bool = is_first
        ) -> Tensor:
            predictions = predict(model, x) if is_first else before
            if attack.eps == 0:
                return predictions
            with seeded_numbers(settings.seed):
                return attack_images(attack, model, x, y, predictions, 0)

        key = repr(at_eps.radius)
        for n in record_in_batches(record, key, earlier, data, size, predictions_after):
            after_batch(n)
        earlier = [key]


def write_curve(folder: RunFolder, record: Record) -> None:
    """Write curve.csv: a row per radius, with Wilson's interval."""
    correct = record.correct()
    rows = [
        [key, *_interval_row(int(correct[key].sum()), len(record.images))]
        for key in sorted(correct.attacks, key=float)
    ]
    folder.write({CURVE: csv_text(("eps", *INTERVAL), rows)})


class PGDTrace(NamedTuple):
    """PGD on n images, step by step; step 0 is the random start.

    Attributes
    ----------
    loss
        Cross-entropy after each step of the first restart: shape (steps + 1, n).
    correct
        Whether an image is correctly classified without attack and at every point so far: bool,
        shape (restarts, steps + 1, n).
    predictions
        The first wrong prediction, or else the label: int64, shape (n,).
    """

    loss: Tensor
    correct: Tensor
    predictions: Tensor


@torch.no_grad()
def trace_pgd(
    model: nn.Module, x: Tensor, y: Tensor, settings: Settings, bounds: Bounds = (0, 1)
) -> PGDTrace:
    """Trace all restarts of PGD on one batch: the same points as `pgd`, from torch's global random
    stream. Misclassified images are attacked to the end."""
    model.eval()
    eps, norm, step_size = settings.radius, settings.lp, settings.step(settings.radius)
    ball: dict[str, Any] = {"eps": eps, "norm": norm, "bounds": bounds}
    predictions = model(x).argmax(1)
    losses, correct = [], []
    for restart in range(settings.restarts):
        z = random_point(x, eps, norm, bounds)
        for step in range(settings.steps + 1):
            if step:
                z = pgd(model, x, y, **ball, start=z, steps=1, step_size=step_size)
            logits = model(z)
            predictions = torch.where(predictions == y, logits.argmax(1), predictions)
            correct.append(predictions == y)
            if restart == 0:
                losses.append(F.cross_entropy(logits, y, reduction="none"))
    shape = (settings.restarts, settings.steps + 1, len(x))
    return PGDTrace(torch.stack(losses), torch.stack(correct).view(shape), predictions)


def trace_batches(
    model: nn.Module,
    data: EvaluatedImages,
    settings: Settings,
    size: BatchSize,
    after_batch: Callable[[int], None] = lambda n: None,
    bounds: Bounds = (0, 1),
) -> PGDTrace:
    """Trace PGD on the first images, as many as `settings.convergence`."""
    parts, done, total = [], 0, min(settings.convergence or 0, len(data.images))
    while done < total:

        def attempt(images: int, done: int = done) -> PGDTrace:
            rows = slice(done, min(done + images, total))
            with seeded_numbers(settings.seed):
                return trace_pgd(model, data.x[rows], data.y[rows], settings, bounds)

        part = size.run(attempt)
        parts.append(PGDTrace(*(tensor.cpu() for tensor in part)))
        done += part.loss.shape[1]
        after_batch(part.loss.shape[1])
    loss, correct, predictions = zip(*parts, strict=True)
    return PGDTrace(torch.cat(loss, 1), torch.cat(correct, 2), torch.cat(predictions))


def write_convergence(folder: RunFolder, images: Sequence[int], trace: PGDTrace) -> None:
    """Write convergence.csv and convergence_accuracy.csv."""
    # Adding 0.0 turns the -0 that a cross-entropy can be into 0.
    losses = trace.loss.T.tolist()
    by_image = csv_text(
        ("image", "step", "loss"),
        [
            [image, step, f"{loss + 0.0:.7g}"]
            for image, row in zip(images[: len(losses)], losses, strict=True)
            for step, loss in enumerate(row)
        ],
    )
    counts, n = trace.correct.sum(2).tolist(), trace.correct.shape[2]
    by_restart = csv_text(
        ("restart", "step", *INTERVAL),
        [
            [restart + 1, step, *_interval_row(k, n)]
            for restart, row in enumerate(counts)
            for step, k in enumerate(row)
        ],
    )
    folder.write({CONVERGENCE: by_image, CONVERGENCE_ACCURACY: by_restart})


def add_curve(
    content: dict[str, Any],
    record: Record,
    curve: Record,
    settings: Settings,
    save: Callable[[], object],
) -> None:
    """Add the curve's predictions at its largest radius within the ball to the outcomes.

    `save` writes evaluation.json, which must list the attack before its rows are written.
    """
    within = [key for key in curve.predictions if 0 < float(key) <= settings.radius]
    if within and FROM_CURVE not in record.predictions:
        largest = max(within, key=float)
        entry = {"label": f"{_pgd_label(settings)}, radii to {float(largest):.4g}"}
        _add_attack(FROM_CURVE, curve.predictions[largest], entry, content, record, settings, save)


def add_convergence(
    content: dict[str, Any],
    record: Record,
    predictions: Sequence[int],
    settings: Settings,
    save: Callable[[], object],
) -> None:
    """Add the traced predictions for the first images to the outcomes. The other images were not
    attacked, so this attack has no accuracy of its own. `save` is as in `add_curve`."""
    if settings.radius > 0 and FROM_CONVERGENCE not in record.predictions:
        n = len(predictions)
        rest = record.predictions["natural"][n:]
        entry = {"label": f"{_pgd_label(settings)}, step by step", "images": n}
        row = [*predictions, *rest]
        _add_attack(FROM_CONVERGENCE, row, entry, content, record, settings, save)


def _add_attack(
    name: str,
    predictions: Sequence[int],
    entry: dict[str, Any],
    content: dict[str, Any],
    record: Record,
    settings: Settings,
    save: Callable[[], object],
) -> None:
    earlier = list(record.predictions.values()) if settings.cascade else []
    attacked = int(record.correct()["natural"][: entry.get("images")].sum())
    content["attacks"][name] = {
        **entry,
        **settings.plain_pgd(),
        "eps": settings.radius,
        "norm": settings.norm,
        "attacked": attacked,
        "seconds": None,
    }
    content["finished"] = False
    save()
    record.add(name, first_wrong(record.labels, [*earlier, predictions]))


def _pgd_label(settings: Settings) -> str:
    return f"PGD-{settings.steps} x {settings.restarts}"


def _interval_row(k: int, n: int) -> list[float]:
    """The columns of INTERVAL."""
    interval = wilson(k, n)
    return [k, n, interval.estimate, interval.lower, interval.upper]
