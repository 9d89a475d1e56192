"""Random numbers for a batch of images that several processes may share.

Each process draws the numbers of the whole batch, from generators that are in the same state in all
processes, and keeps the rows of its own images. The numbers then do not depend on the number of
processes. Numbers for images that are selected by a result, and the masks of dropout, are drawn
from torch's global generator, which differs between processes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import InputError

Fill = Callable[[Tensor, torch.Generator | None], object]  # fills a tensor with random numbers


class SharedGenerators:
    """Generators of the CPU and of an accelerator, with the same state in all processes. They begin
    in the state of torch's global generators."""

    def __init__(self, device: torch.device) -> None:
        self.by_device = {"cpu": torch.Generator()}
        if device.type != "cpu":
            self.by_device[device.type] = torch.Generator(device)
        self.load_state(global_state())

    def state(self) -> dict[str, Any]:
        """Return the state in the form of `global_state`, with at most one accelerator."""
        states = [generator.get_state() for generator in self.by_device.values()]
        return {"random": states[0], "random_accelerator": states[1:]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Set the state to one from `state` or `global_state`."""
        states = [state["random"], *state["random_accelerator"]]
        for generator, value in zip(self.by_device.values(), states, strict=False):
            generator.set_state(value)


@dataclass(frozen=True)
class BatchShare:
    """The part of a batch that this process computes: `size` images from image `first` on, of a
    batch of `batch_size`; and the generators that all processes draw from."""

    first: int
    size: int
    batch_size: int
    generators: SharedGenerators


_share: BatchShare | None = None
_common = False


@contextmanager
def shared_batch(share: BatchShare | None) -> Iterator[None]:
    """Inside, draw numbers for this share of a batch. With None, draw them for the images as they
    are, from torch's global generator."""
    global _share
    before, _share = _share, share
    try:
        yield
    finally:
        _share = before


@contextmanager
def common_numbers() -> Iterator[None]:
    """Inside, draw the numbers of one image, and use them for every image of the batch. What an
    image gets then depends neither on the other images nor on the size of the batch. (Each image
    has the same distribution as otherwise; only the images are no longer independent.)"""
    global _common
    before, _common = _common, True
    try:
        yield
    finally:
        _common = before


def numbers_are_common() -> bool:
    """Return whether `common_numbers` is in effect."""
    return _common


def uniform(like: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return uniform numbers. Shape (images first), type and device of `like`."""
    return _draw(like, lambda x, generator: x.uniform_(low, high, generator=generator))


def normal(like: Tensor) -> Tensor:
    """Return standard normal numbers. Shape (images first), type and device of `like`."""
    return _draw(like, lambda x, generator: x.normal_(generator=generator))


def exponential(like: Tensor) -> Tensor:
    """Return standard exponential numbers. Shape (images first), type and device of `like`."""
    return _draw(like, lambda x, generator: x.exponential_(generator=generator))


def integers(like: Tensor, end: int, image_dim: int = 0) -> Tensor:
    """Return integers from 0 to `end` - 1. Shape, type and device of `like`, whose dimension
    `image_dim` is that of the images."""
    return _draw(like, lambda x, generator: x.random_(0, end, generator=generator), image_dim)


def _draw(like: Tensor, fill: Fill, image_dim: int = 0) -> Tensor:
    # A contiguous tensor is filled, so that the numbers do not depend on the layout of `like`.
    shape, generator = [*like.shape], None
    if _share is not None:
        if shape[image_dim] != _share.size:
            raise InputError(
                f"numbers must be drawn for all {_share.size} images of this process, got "
                f"{shape[image_dim]} images: draw for some of them inside shared_batch(None)"
            )
        shape[image_dim] = _share.batch_size
        generator = _share.generators.by_device[like.device.type]
    if _common:
        shape[image_dim] = 1
    numbers = torch.empty(shape, dtype=like.dtype, device=like.device)
    fill(numbers, generator)
    if _common:
        return numbers.expand(like.shape).contiguous()
    return numbers if _share is None else numbers.narrow(image_dim, _share.first, _share.size)


def first_in_batch() -> int:
    """Return the position in the whole batch of the first image that this process computes."""
    return 0 if _share is None else _share.first


def full_batch_size(images: int) -> int:
    """Return the size of the whole batch, if this process computes this number of its images."""
    return images if _share is None else _share.batch_size


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Restore torch's global random state afterwards. All devices are listed, since a seed sets all
    of them, and torch warns if they are not listed."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        yield


CpuState = tuple[Any, dict[str, Any], Tensor]  # of Python, numpy and torch


def cpu_state() -> CpuState:
    """Return the random states of Python, numpy and torch's CPU."""
    return random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()


def set_cpu_state(state: CpuState) -> None:
    """Set them to what `cpu_state` returned."""
    of_python, of_numpy, of_torch = state
    random.setstate(of_python)
    np.random.set_state(of_numpy)
    torch.set_rng_state(of_torch)


def same_cpu_state(one: CpuState, other: CpuState) -> bool:
    """Return whether two results of `cpu_state` are equal: no number was drawn between them."""
    values, others = ({**numpy, **numpy["state"], "state": None} for _, numpy, _ in (one, other))
    return (
        one[0] == other[0]
        and all(np.array_equal(values[key], others[key]) for key in values)
        and np.array_equal(one[2].numpy(), other[2].numpy())
    )


@contextmanager
def preserved_cpu_state() -> Iterator[None]:
    """Restore the random states of Python, numpy and torch's CPU at the end."""
    before = cpu_state()
    try:
        yield
    finally:
        set_cpu_state(before)


def global_state() -> dict[str, Any]:
    """Return torch's global random state: that of the CPU, and a list of those of accelerators."""
    return {
        "random": torch.get_rng_state(),
        "random_accelerator": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_global_state(state: dict[str, Any]) -> None:
    """Set torch's global random state to one from `global_state`."""
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available() and state["random_accelerator"]:
        torch.cuda.set_rng_state_all(state["random_accelerator"])
