"""One number per training image, independent of the order of the images."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InputError


class PerExampleState:
    """Numbers by position in the training set, and how often each was updated.

    With several processes each has a state of the whole training set and updates the images that
    it sees. `merge` then takes the number of each image from the process with the most updates.
    """

    def __init__(self, n: int, initial: float = 0.0) -> None:
        self.values = torch.full((n,), initial, dtype=torch.float64)
        self.updates = torch.zeros(n, dtype=torch.int64)

    def read(self, indices: Tensor, like: Tensor) -> Tensor:
        """Return the numbers of these images, with the dtype and the device of `like`."""
        return self.values[indices.cpu()].to(like)

    def write(self, indices: Tensor, values: Tensor) -> None:
        """Set the numbers of these images and count the update."""
        indices = indices.cpu()
        self.values[indices] = values.detach().to("cpu", torch.float64)
        self.updates[indices] += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the numbers and the counts."""
        return {"values": self.values.clone(), "updates": self.updates.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state. Raises InputError for the state of another number of images."""
        if state["values"].shape != self.values.shape:
            raise InputError(
                f"the checkpoint has the state of {len(state['values'])} training images, but "
                f"there are {len(self.values)}"
            )
        self.values, self.updates = state["values"].clone(), state["updates"].clone()


def merge(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Merge the states of several processes that were equal before each updated some images. A
    state of another form, such as an empty one, is that of the first process."""
    if states[0].keys() != {"values", "updates"}:
        return dict(states[0])
    values = torch.stack([state["values"] for state in states])
    updates = torch.stack([state["updates"] for state in states])
    newest, each = updates.argmax(0), torch.arange(updates.shape[1])
    return {"values": values[newest, each], "updates": updates[newest, each]}
