"""Images held out of the training set: drawn with a seed, the same part of each class."""

import torch
from torch import Tensor

from ..errors import InputError


def hold_out(y: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """The positions of the images that stay and of the n that are held out, each rising.

    Each class gives its part of n, and keeps one image at least.

    Parameters
    ----------
    y
        Labels, int64, shape (images,).
    n
        How many to hold out.
    seed
        The same seed holds out the same images.

    Raises ValueError where there are too few images.
    """
    counts = torch.bincount(y)
    most = int((counts - 1).clamp_min(0).sum())
    if n > most:
        raise InputError(
            f"validation must be at most {most} of these {len(y)} training images, so that each of "
            f"the {int((counts > 0).sum())} classes keeps one, got {n}: hold out fewer, or give "
            "more images"
        )
    held = stratified(y, n, seed, (counts - 1).clamp_min(0))
    stays = torch.ones(len(y), dtype=torch.bool)
    stays[held] = False
    return stays.nonzero().squeeze(1), held


def stratified(y: Tensor, n: int, seed: int, most: Tensor | None = None) -> Tensor:
    """The positions, rising, of n images drawn at random, of each class its part, and at most so
    many as `most` says."""
    counts = torch.bincount(y)
    most = counts if most is None else most
    share = (n * counts.double() / len(y)).clamp_max(most)
    take = share.floor().long()
    while int(take.sum()) < n:  # what rounding left: first to the class that is farthest behind
        behind = torch.where(take < most, share - take, -torch.inf)
        take[behind.argmax()] += 1
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for label, many in enumerate(take.tolist()):
        places = (y == label).nonzero().squeeze(1)
        drawn.append(places[torch.randperm(len(places), generator=generator)[:many]])
    return torch.cat(drawn).sort().values
