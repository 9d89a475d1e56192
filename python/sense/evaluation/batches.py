"""Which images are evaluated, and attacking them a batch at a time."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..data import ImageData, to_float
from ..errors import InputError
from .outcomes import Record
from .runner import NATURAL, Attack, attack_images, predict
from .settings import Settings


class Batch(NamedTuple):
    """Test images that are attacked, and saved, at once: positions, float32 pixels, labels."""

    images: list[int]
    x: Tensor
    y: Tensor


def choose_images(data: ImageData, n: int | None, draw: int | None) -> list[int]:
    """The positions of the test images that are evaluated, rising: the first n, or n drawn at
    random with the seed `draw`; all without n. Raises ValueError for more than there are."""
    most = len(data.test_x)
    if not most:
        raise InputError(f"{data.name} has no test images to evaluate on: give some")
    n = most if n is None else n
    if not 1 <= n <= most:
        raise InputError(f"n must be from 1 to {most}, the test images, got {n}")
    if draw is None:
        return list(range(n))
    generator = torch.Generator().manual_seed(draw)
    return sorted(torch.randperm(most, generator=generator)[:n].tolist())


def cut(
    images: Sequence[int], x: Tensor, y: Tensor, size: int, device: torch.device
) -> list[Batch]:
    """Batches of the images at these positions of x and y, on the device."""
    parts = [list(images[i : i + size]) for i in range(0, len(images), size)]
    return [Batch(part, to_float(x[part].to(device)), y[part].to(device)) for part in parts]


def attack_batches(
    attack: Attack, model: nn.Module, batches: list[Batch], settings: Settings, record: Record
) -> Iterator[tuple[int, float]]:
    """Attack the batches that the record has not, add their predictions, and tell after each how
    many images it had and how many seconds it took."""
    before = [name for name in record.predictions if name != attack.name]
    if not settings.cascade:
        before = before[:1]  # natural
    for batch in batches[record.batches(attack.name) :]:
        began = time.perf_counter()
        seed = batch_seed(settings.seed, batch)
        torch.manual_seed(seed)
        if attack is NATURAL:
            predictions = predict(model, batch.x)
        else:
            known = broken_before(record, before, record.done(attack.name), batch)
            predictions = attack_images(attack, model, batch.x, batch.y, known, seed)
        record.add(attack.name, predictions.tolist())
        yield len(batch.x), time.perf_counter() - began


def batch_seed(seed: int, batch: Batch) -> int:
    """A seed for each batch: or one more restart in it would change the random starts of the
    next."""
    return seed * 1_000_003 + batch.images[0]


def broken_before(record: Record, attacks: Sequence[str], begin: int, batch: Batch) -> Tensor:
    """For each image of a batch, which begins at this row, the prediction that broke it under the
    first of the attacks that did, else its label."""
    labels = batch.y.tolist()
    rows = [record.predictions[name][begin : begin + len(labels)] for name in attacks]
    found = [
        next((row[i] for row in rows if row[i] != label), label) for i, label in enumerate(labels)
    ]
    return torch.tensor(found, device=batch.y.device)
