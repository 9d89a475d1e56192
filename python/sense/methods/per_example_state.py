"""One number for each image of the training set, whatever order the images come in."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InputError


class PerExampleState:
    """Numbers by position in the training set, and how often each was set.

    The counts make it right with several processes: each holds a memory of the whole set and sets
    the images it sees, and `merge` keeps for each image the number that was set most often.
    """

    def __init__(self, n: int, initial: float = 0.0) -> None:
        self.values = torch.full((n,), initial, dtype=torch.float64)
        self.updates = torch.zeros(n, dtype=torch.int64)

    def read(self, position: Tensor, like: Tensor) -> Tensor:
        """The numbers of these images, of the type and on the device of `like`."""
        return self.values[position.cpu()].to(like)

    def write(self, position: Tensor, values: Tensor) -> None:
        where = position.cpu()
        self.values[where] = values.detach().to("cpu", torch.float64)
        self.updates[where] += 1

    def state_dict(self) -> dict[str, Tensor]:
        return {"values": self.values.clone(), "updates": self.updates.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Raises ValueError for the memory of another number of images."""
        if state["values"].shape != self.values.shape:
            raise InputError(
                f"the checkpoint remembers {len(state['values'])} training images, "
                f"there are {len(self.values)}"
            )
        self.values, self.updates = state["values"].clone(), state["updates"].clone()


def merge(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The memories of several processes, each of which set some images since all were alike, as
    one."""
    values = torch.stack([state["values"] for state in states])
    updates = torch.stack([state["updates"] for state in states])
    newest = updates.argmax(0, keepdim=True)
    return {"values": values.gather(0, newest)[0], "updates": updates.gather(0, newest)[0]}
