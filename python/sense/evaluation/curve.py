"""The robustness curve: accuracy under PGD by radius."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from ..run_folder import RunFolder
from ..statistics import wilson
from .batches import Batch, batch_seed, broken_before
from .outcomes import Record
from .runner import attack_images, build_attack, predict
from .settings import Settings

CURVE_OUTCOMES = "curve_outcomes.csv"
CURVE = "curve.csv"
INTERVAL = ("k", "n", "estimate", "lower", "upper")


def extend_curve(
    model: nn.Module,
    batches: list[Batch],
    settings: Settings,
    record: Record,
    after_batch: Callable[[int], None] = lambda n: None,
) -> None:
    """PGD at each radius of the curve, rising: an image that is broken at one is in the larger
    balls too, and is not attacked again. `after_batch` is told how many images were done."""
    before = ""
    for eps in settings.curve:
        key = repr(float(eps))
        attack = build_attack("pgd", replace(settings, eps=eps))
        for batch in batches[record.batches(key) :]:
            if before:
                predictions = broken_before(record, [before], record.done(key), batch)
            else:
                predictions = predict(model, batch.x)
            if eps > 0:
                torch.manual_seed(batch_seed(settings.seed, batch))
                predictions = attack_images(attack, model, batch.x, batch.y, predictions, 0)
            record.add(key, predictions.tolist())
            after_batch(len(batch.x))
        before = key


def write_curve(folder: RunFolder, record: Record) -> None:
    """curve.csv: a row for each radius, with Wilson's interval."""
    rows = []
    for key in sorted(record.predictions, key=float):
        k = sum(record.standing([key]))
        rows.append([key, *interval_row(k, len(record.images))])
    folder.write({CURVE: table_text(("eps", *INTERVAL), rows)})


def interval_row(k: int, n: int) -> list[float]:
    """The columns of INTERVAL."""
    found = wilson(k, n)
    return [k, n, found.estimate, found.lower, found.upper]


def table_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A CSV file."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return text.getvalue()
