"""Stratified random splits of a training set."""

import torch
from torch import Tensor

from ..errors import InputError


def hold_out(y: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the positions of the images that are kept and of the n that are held out, both sorted.

    Each class is held out in proportion to its size and keeps at least one image.

    Parameters
    ----------
    y
        Labels, int64, shape (images,).
    n
        Number of images to hold out.
    seed
        The same seed holds out the same images.

    Raises ValueError if there are too few images.
    """
    counts = torch.bincount(y)
    most = int((counts - 1).clamp_min(0).sum())
    if n > most:
        raise InputError(
            f"validation_size must be at most {most} of these {len(y)} training images, so that "
            f"each of the {int((counts > 0).sum())} classes keeps one, got {n}: hold out fewer, or "
            "pass more images"
        )
    held = stratified_sample(y, n, seed, (counts - 1).clamp_min(0))
    kept = torch.ones(len(y), dtype=torch.bool)
    kept[held] = False
    return kept.nonzero().squeeze(1), held


def stratified_sample(y: Tensor, n: int, seed: int, most: Tensor | None = None) -> Tensor:
    """Return the sorted positions of n images drawn at random, from each class in proportion to its
    size and at most `most` per class."""
    counts = torch.bincount(y)
    most = counts if most is None else most
    share = (n * counts.double() / len(y)).clamp_max(most)
    take = share.floor().long()
    while int(take.sum()) < n:  # rounding: add to the class with the largest remainder
        behind = torch.where(take < most, share - take, -torch.inf)
        take[behind.argmax()] += 1
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for label, count in enumerate(take.tolist()):
        positions = (y == label).nonzero().squeeze(1)
        drawn.append(positions[torch.randperm(len(positions), generator=generator)[:count]])
    return torch.cat(drawn).sort().values
