"""Random numbers for a batch of images, of which this process may hold a part.

Where several processes share a batch each draws for all of it, from a stream that is alike in all,
and keeps the rows of its own images: so the draws do not depend on the number of processes. What
is drawn for images that the data select, and dropout's masks, come from torch's global random
state, which is each process's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import InputError

Fill = Callable[[Tensor, torch.Generator | None], object]  # fill this from that stream


class Streams:
    """A stream of the processor and, on an accelerator, one of its own, that all processes have
    alike. They go on from torch's global ones."""

    def __init__(self, device: torch.device) -> None:
        self.generators = {"cpu": torch.Generator()}
        if device.type != "cpu":
            self.generators[device.type] = torch.Generator(device)
        self.load_state(global_state())

    def state(self) -> dict[str, Any]:
        """As `global_state`, with one accelerator at most."""
        states = [generator.get_state() for generator in self.generators.values()]
        return {"random": states[0], "random_accelerator": states[1:]}

    def load_state(self, state: dict[str, Any]) -> None:
        states = [state["random"], *state["random_accelerator"]]
        for generator, value in zip(self.generators.values(), states, strict=False):
            generator.set_state(value)


@dataclass(frozen=True)
class Share:
    """Images `first` to `first + images` of a batch of `whole`, and the streams to draw from."""

    first: int
    images: int
    whole: int
    streams: Streams


_share: Share | None = None


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Inside, what is drawn for images is drawn for this share of a batch; with None, for the
    images as they are, from the process's own stream."""
    global _share
    before, _share = _share, share
    try:
        yield
    finally:
        _share = before


def uniform(like: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform numbers of the shape, type and device of `like`, images first."""
    return _drawn(like, lambda x, generator: x.uniform_(low, high, generator=generator))


def normal(like: Tensor) -> Tensor:
    """Standard normal numbers, otherwise as `uniform`."""
    return _drawn(like, lambda x, generator: x.normal_(generator=generator))


def exponential(like: Tensor) -> Tensor:
    """Standard exponential numbers, otherwise as `uniform`."""
    return _drawn(like, lambda x, generator: x.exponential_(generator=generator))


def integers(like: Tensor, end: int, images: int = 0) -> Tensor:
    """Whole numbers from 0 to less than `end`; the images are the dimension `images` of `like`."""
    return _drawn(like, lambda x, generator: x.random_(0, end, generator=generator), images)


def _drawn(like: Tensor, fill: Fill, images: int = 0) -> Tensor:
    # By shape alone: in memory of another layout the same numbers would come in another order.
    if _share is None:
        numbers = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        fill(numbers, None)
        return numbers
    if like.shape[images] != _share.images:
        raise InputError(
            f"numbers are drawn for all {_share.images} images of a process or, inside "
            f"sharing(None), for some: got {like.shape[images]}"
        )
    shape = [*like.shape]
    shape[images] = _share.whole
    numbers = torch.empty(shape, dtype=like.dtype, device=like.device)
    fill(numbers, _share.streams.generators[like.device.type])
    return numbers.narrow(images, _share.first, _share.images)


def whole_batch(images: int) -> int:
    """The size of the batch of which this process holds so many images."""
    return images if _share is None else _share.whole


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Inside, torch's random numbers may be seeded and drawn; outside they go on as if nothing had
    been. All devices are named, since a seed is one for all, and torch warns where none is."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        yield


def global_state() -> dict[str, Any]:
    """Torch's global random state: the processor's, and a list of the accelerators'."""
    return {
        "random": torch.get_rng_state(),
        "random_accelerator": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_global_state(state: dict[str, Any]) -> None:
    """Go on from a `global_state`."""
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available() and state["random_accelerator"]:
        torch.cuda.set_rng_state_all(state["random_accelerator"])
