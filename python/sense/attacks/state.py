"""How far the sensible adversary is with each image of a batch."""

from enum import IntEnum
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .boundary import Crossing
from .geometry import broadcast

StageTest = Literal["natural", "start"]


class Stage(IntEnum):
    """What became of an image (section 4.2): it stayed, was turned back, or took all steps."""

    A = 0
    B = 1
    C = 2


class State(NamedTuple):
    """Of each of n images: the last point where it may be, and the loss there, in the images' type;
    whether it still moves (bool); its `Stage` so far (uint8); and where it was turned back the
    first point past log(1/c), if that is kept, and how many steps were then left (int64). No method
    makes Python wait for a device, but `crossing`."""

    inside: Tensor
    loss: Tensor
    alive: Tensor
    stage: Tensor
    outside: Tensor
    left: Tensor

    @staticmethod
    def at(x: Tensor, alive: Tensor, crossings: bool) -> "State":
        """Before the first pass: at x, those alive about to move; the first points past are kept
        where `crossings` are asked for later."""
        nothing = x.new_zeros(len(x))
        outside = x if crossings else nothing
        return State(x, nothing, alive, nothing.to(torch.uint8), outside, nothing.long())

    def rows(self, which: Tensor) -> "State":
        """Of these images alone, by position."""
        return State(*(part.index_select(0, which) for part in self))

    def with_rows(self, which: Tensor, state: "State") -> "State":
        """With what `state` says of these images."""
        return State(
            *(mine.index_copy(0, which, new) for mine, new in zip(self, state, strict=True))
        )

    def tested(self, z: Tensor, loss: Tensor, back: Tensor, left: int) -> "State":
        """After a pass at z that gave that loss: images alive move to z, or where `back` says so
        stop, with so many steps left. An image that stops before it has moved is in stage A."""
        on, turned = self.alive & ~back, self.alive & back
        stage = torch.where(turned & (self.stage == Stage.C), Stage.B, self.stage)
        outside = self.outside
        if outside.shape == z.shape:
            outside = torch.where(broadcast(turned, z), z, outside)
        return State(
            inside=torch.where(broadcast(on, z), z, self.inside),
            loss=torch.where(on, loss.to(self.loss.dtype), self.loss),
            alive=on,
            stage=torch.where(on, Stage.C, stage).to(torch.uint8),
            outside=outside,
            left=torch.where(turned, left, self.left),
        )

    def ended(self, which: Tensor, inside: Tensor, loss: Tensor) -> "State":
        """With another end for these images, and the loss there."""
        return self._replace(
            inside=self.inside.index_copy(0, which, inside),
            loss=self.loss.index_copy(0, which, loss.to(self.loss.dtype)),
        )

    def crossing(self) -> Crossing:
        """The images in stage B, those first that were turned back first."""
        images = (self.stage == Stage.B).nonzero().squeeze(1)
        images = images[self.left[images].argsort(descending=True, stable=True)]
        parts = (self.inside, self.outside, self.loss, self.left)
        return Crossing(images, *(part[images] for part in parts))
