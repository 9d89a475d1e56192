"""The images and labels of a dataset one by one: torch's, torchvision's or Hugging Face's."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError
from ..random_numbers import preserved_cpu_state
from .arrays import NUMBERS, tensor_of

IMAGE_COLUMNS = ("image", "img", "pixel_values")
LABEL_COLUMNS = ("label", "labels", "target", "fine_label")
CHANNELS = (1, 3, 4)  # usual numbers of channels
FIXED = 0  # the seed with which images are read outside of training


class Key(NamedTuple):
    """The position of an item, and the seed of its random transform."""

    position: int
    seed: int = FIXED


class Item(NamedTuple):
    """An image (channels x height x width, uint8 or float32) and its label."""

    image: Tensor
    label: Any


class Items(Dataset[Item | InputError]):
    """The items of a map-style dataset in one form.

    An item of the dataset is (image, label), or a dict with an image and a label under one of the
    usual names. An image is a tensor, a numpy array or a picture of pillow.

    Python's, numpy's and torch's random numbers are seeded before an item is read. A random
    transform then gives the same image for the same `Key` in any process.
    """

    def __init__(self, dataset: Any, columns: tuple[str, str] | None = None) -> None:
        self.dataset, self.columns = dataset, columns
        self.mode: str | None = None
        if not len(dataset):
            raise InputError("the dataset has no items")
        with preserved_cpu_state():
            self.mode = picture_mode(image_of(dataset[0], columns))
            self.first = self.read(Key(0)).image

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Item | InputError:
        """Return an item, or the error: one that is raised in a worker of torch's DataLoader is
        shown with its traceback."""
        try:
            return self.read(key)
        except InputError as error:
            return error

    def read(self, key: Key) -> Item:
        """Return an item. Raises InputError for one that differs in shape or type from the first.

        The global random numbers are seeded and not restored: see `preserved_cpu_state`."""
        seed_generators(key)
        found = as_item(self.dataset[key.position], self.columns, self.mode)
        check_alike(found.image, getattr(self, "first", found.image), key.position)
        return found


def seed_generators(key: Key) -> None:
    """Seed the random numbers of Python, numpy and torch with the key."""
    seed = (key.seed * 1_000_003 + key.position) % 2**32
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


def as_item(item: Any, columns: tuple[str, str] | None = None, mode: str | None = None) -> Item:
    """Return the image and the label of a dataset's item; a picture of pillow in this mode."""
    label = label_of(item, columns)
    if isinstance(label, np.ndarray | Tensor) and label.ndim == 0:
        label = label.item()
    return Item(image_tensor(image_of(item, columns), mode), label)


def check_alike(image: Tensor, first: Tensor, position: int) -> None:
    """Raise InputError for an image that differs in shape or type from the first."""
    if (image.shape, image.dtype) != (first.shape, first.dtype):
        raise InputError(
            f"all images must be alike: image {position} (from 0) is {tuple(image.shape)} of "
            f"{image.dtype}, the first is {tuple(first.shape)} of {first.dtype}. Give the dataset "
            "a transform that resizes and converts them"
        )


def image_of(item: Any, columns: tuple[str, str] | None = None) -> Any:
    """Return the image in an item of a dataset."""
    if isinstance(item, Mapping):
        return item[column_of(item, columns and columns[0], IMAGE_COLUMNS, "image")]
    return _pair(item)[0]


def label_of(item: Any, columns: tuple[str, str] | None = None) -> Any:
    """Return the label in an item of a dataset."""
    if isinstance(item, Mapping):
        return item[column_of(item, columns and columns[1], LABEL_COLUMNS, "label")]
    return _pair(item)[1]


def column_of(item: Any, named: str | None, usual: Sequence[str], what: str) -> str:
    """Return the name of the column of images or labels."""
    found = next((name for name in ([named] if named else usual) if name in item), None)
    if found is None:
        raise InputError(
            f"the dataset has the columns {', '.join(item)}: name those of images and labels, such "
            f'as columns=("{IMAGE_COLUMNS[0]}", "{LABEL_COLUMNS[0]}")'
            if named is None
            else f"the dataset has no column {named}, of the {what}s: it has {', '.join(item)}"
        )
    return found


def _pair(item: Any) -> Any:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise InputError(
            "an item of the dataset must be (image, label), or a dict with an image and a label, "
            f"got a {type(item).__name__}"
        )
    return item


def picture_mode(image: Any) -> str | None:
    """Return the mode in which pictures of pillow are read: "L" if the first one is greyscale, else
    "RGB"; None for other images."""
    mode = getattr(image, "mode", None)
    if mode is None or not hasattr(image, "convert"):
        return None
    return "L" if mode in ("1", "L") else "RGB"


def image_tensor(image: Any, mode: str | None = None) -> Tensor:
    """Return an image as a tensor, channels x height x width, uint8 or float32.

    Arrays may be height x width (greyscale), or have their channels last, as pictures have.
    """
    if hasattr(image, "convert") and hasattr(image, "mode"):
        if mode == "L" and image.mode not in ("1", "L"):
            raise InputError(
                f"the first picture is greyscale, another one is {image.mode}: convert them to one "
                "mode, such as image.convert('RGB')"
            )
        image = np.array(image.convert(mode or picture_mode(image)))
    if isinstance(image, Tensor):
        tensor = image.detach().cpu()
    else:
        array = np.asarray(image)
        if array.dtype.kind not in NUMBERS:
            raise InputError(
                "an image must be a tensor, an array or a picture of pillow, got a "
                f"{type(image).__name__}"
            )
        if array.ndim == 3 and array.shape[2] in CHANNELS and array.shape[0] not in CHANNELS:
            array = array.transpose(2, 0, 1)
        tensor = tensor_of(np.array(array, copy=True), "an image")
    if tensor.ndim == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 3:
        raise InputError(
            f"an image must be channels x height x width, got shape {tuple(tensor.shape)}"
        )
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
