"""One number per training image, independent of the order of the images."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..transfers import send


class PerExampleState:
    """Numbers by position in the training set, and how often each was updated. They are kept on the
    CUDA device of the images, otherwise on the CPU.

    With several processes each has a state of the whole training set and updates the images that
    it sees. `merge` then takes the number of each image from the process with the most updates.
    """

    def __init__(self, n: int, initial: float = 0.0) -> None:
        self.values = torch.full((n,), initial, dtype=torch.float64)
        self.updates = torch.zeros(n, dtype=torch.int64)

    def read(self, indices: Tensor, like: Tensor) -> Tensor:
        """Return the numbers of these images, with the dtype and the device of `like`."""
        return self.values[self._positions(indices, like)].to(like)

    def write(self, indices: Tensor, values: Tensor) -> None:
        """Set the numbers of these images and count the update."""
        positions = self._positions(indices, values)
        self.values[positions] = values.detach().to(self.values)
        self.updates[positions] += 1

    def _positions(self, indices: Tensor, like: Tensor) -> Tensor:
        """Return the positions on the device that the numbers are kept on for images `like`."""
        home = like.device if like.device.type == "cuda" else torch.device("cpu")
        self.values, self.updates = self.values.to(home), self.updates.to(home)
        return send(indices, home)

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the numbers and the counts, on the CPU."""
        return {"values": self.values.cpu().clone(), "updates": self.updates.cpu().clone()}

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
