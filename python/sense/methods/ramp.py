"""A radius that grows: adversarial training that starts in a small ball learns where it would
otherwise stay at a constant for epochs (as curricula of the attack do, Cai et al. 2018)."""

from collections.abc import Callable
from functools import lru_cache

from torch import nn

from .base import Batch, Method, Step


class GrowingRadius:
    """A method whose radius and step size grow from a part `first` of their own in the first
    `epochs` epochs, in proportion to the time since the start, and are their own from then on.

    `build` gives the method whose radius and step size are a part, 0 to 1, of their own. It must
    remember nothing of the images, since there is a new one each step.
    """

    def __init__(self, build: Callable[[float], Method], *, first: float, epochs: float) -> None:
        self.build = lru_cache(maxsize=1)(build)  # the full radius is built once
        self.first, self.epochs = first, epochs

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        return self.build(self.part(epoch))(model, batch, epoch)

    def part(self, epoch: float) -> float:
        """The part of radius and step size after so many epochs."""
        return self.first + (1 - self.first) * min(1.0, epoch / self.epochs)
