"""PGD step by step: has it converged? (Figures 8 and 9 of the paper.)"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import random_point
from ..run_folder import RunFolder
from .batches import Batch, batch_seed
from .curve import INTERVAL, interval_row, table_text
from .settings import Settings

CONVERGENCE = "convergence.csv"
CONVERGENCE_ACCURACY = "convergence_accuracy.csv"


class Course(NamedTuple):
    """Of n images: the cross-entropy after each step of the first restart, shape (steps + 1, n),
    step 0 being the random start; whether an image was right as it is and at every point so far,
    shape (restarts, steps + 1, n); and what it was first taken for wrongly, else its label."""

    loss: Tensor
    right: Tensor
    predictions: Tensor


@torch.no_grad()
def follow(model: nn.Module, x: Tensor, y: Tensor, settings: Settings) -> Course:
    """The restarts of PGD on one batch, from torch's random stream: the same points as `pgd`. All
    restarts go to the end, broken images too."""
    model.eval()
    eps, norm, step_size = settings.radius, settings.lp, settings.step(settings.radius)
    predictions = model(x).argmax(1)
    losses, rights = [], []
    for restart in range(settings.restarts):
        z = random_point(x, eps, norm, (0, 1))
        for step in range(settings.steps + 1):
            if step:
                z = pgd(model, x, y, eps=eps, norm=norm, start=z, steps=1, step_size=step_size)
            logits = model(z)
            predictions = torch.where(predictions == y, logits.argmax(1), predictions)
            rights.append(predictions == y)
            if restart == 0:
                losses.append(F.cross_entropy(logits, y, reduction="none"))
    right = torch.stack(rights).view(settings.restarts, settings.steps + 1, len(x))
    return Course(torch.stack(losses), right, predictions)


def follow_batches(
    model: nn.Module,
    batches: list[Batch],
    settings: Settings,
    after_batch: Callable[[int], None] = lambda n: None,
) -> Course:
    """`follow` for the first images that the settings ask for."""
    parts, left = [], settings.convergence or 0
    for batch in batches:
        if left <= 0:
            break
        torch.manual_seed(batch_seed(settings.seed, batch))
        part = follow(model, batch.x[:left], batch.y[:left], settings)
        parts.append(Course(*(tensor.cpu() for tensor in part)))
        left -= len(batch.x)
        after_batch(part.loss.shape[1])
    loss, right, predictions = zip(*parts, strict=True)
    return Course(torch.cat(loss, 1), torch.cat(right, 2), torch.cat(predictions))


def write_convergence(folder: RunFolder, images: Sequence[int], course: Course) -> None:
    """convergence.csv and convergence_accuracy.csv."""
    # Adding 0.0 makes the -0 that a cross-entropy can be a 0.
    losses = course.loss.T.tolist()
    by_image = table_text(
        ("image", "step", "loss"),
        [
            [image, step, f"{loss + 0.0:.7g}"]
            for image, row in zip(images[: len(losses)], losses, strict=True)
            for step, loss in enumerate(row)
        ],
    )
    counts, n = course.right.sum(2).tolist(), course.right.shape[2]
    by_restart = table_text(
        ("restart", "step", *INTERVAL),
        [
            [restart + 1, step, *interval_row(k, n)]
            for restart, row in enumerate(counts)
            for step, k in enumerate(row)
        ],
    )
    folder.write({CONVERGENCE: by_image, CONVERGENCE_ACCURACY: by_restart})
