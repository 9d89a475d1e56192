"""Data of any form that users have, as the data of this package."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from ..errors import InputError
from ..files import Spool
from .base import Data
from .folder import load_folder
from .images import ImageData, as_images
from .items import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    Items,
    as_item,
    check_alike,
    column_of,
    image_of,
    picture_mode,
)
from .streams import READ_AT_ONCE, StreamedImages
from .tables import TableData

IN_MEMORY = 2**30  # bytes of images that are read into memory; more are streamed
TRAIN, TEST = ("train", "training"), ("test", "validation", "valid", "val")  # names of the parts


def as_data(
    data: Any,
    *,
    name: str = "data",
    classes: Sequence[str] | None = None,
    columns: tuple[str, str] | None = None,
    workers: int = 0,
    in_memory: bool | None = None,
) -> Data:
    """Return data of any of these forms as `ImageData` or `TableData`.

    - an `ImageData` or a `TableData`, which is returned as it is;
    - the path of a folder of images, as in `load_folder`;
    - (x, y) or (train_x, train_y, test_x, test_y): numpy arrays or tensors, in the forms of
      `ImageData`. An array that is mapped into memory (`np.load(file, mmap_mode="r")`) is not
      copied. Arrays n x d, and data frames, are tables of features, see `TableData`;
    - a dataset of torch, torchvision or Hugging Face, or a pair (train, test) of any form above, or
      a dict with "train" and "test". An item is (image, label) or a dict. An image is a tensor or
      array with pixels of 0 to 1 or bytes, or a picture of pillow;
    - a torch DataLoader, of which the dataset and the number of workers are used. Batch size and
      order are options of training;
    - an IterableDataset, or another iterable of items. It is read once, into memory or a temporary
      file, since training needs the positions of images.

    Parameters
    ----------
    name
        In messages and results.
    classes
        The names of the classes, in the order of the labels. Default: those that the dataset knows
        (`classes`, or the names of a ClassLabel), or the labels themselves.
    columns
        The names of the columns of images and labels. Default: the usual ones, such as "image" and
        "label".
    workers
        Number of processes that read a dataset, as in torch's DataLoader.
    in_memory
        Whether a dataset is read into memory at once, or each batch when it is needed. Default: up
        to 1 GiB of images are read at once. A dataset with a random transform is always read batch
        by batch. The results are the same, bit for bit.

    A dataset that is read batch by batch is read once in full before training: its labels, checks
    and SHA-256 need every item.
    """
    if isinstance(data, Data):
        return data
    if isinstance(data, str | Path):
        return load_folder(data)
    reader = _Reader(name, columns, workers, in_memory)
    train, test = _parts(data)
    x, y, found = reader.read(train, "train")
    test_x, test_y, _ = (None, y[:0], None) if test is None else reader.read(test, "test")
    y, test_y, names = coded(y, test_y, classes or found, name)
    if x.ndim == 2:
        tested = None if test_x is None else test_y
        return TableData.from_features(name, x, y, test_x, tested, names)
    y, test_y = torch.from_numpy(y), torch.from_numpy(test_y)
    return ImageData(name, x, y, _none_of(x) if test_x is None else test_x, test_y, names)


def images_and_labels(data: Any) -> tuple[Any, Tensor]:
    """Return the images and labels to evaluate on: those of the test part of any form of `as_data`,
    or of the only part."""
    if isinstance(data, str | Path):
        data = load_folder(data)
    if isinstance(data, Data):
        part = "test" if len(data.test_y) else "train"
        return getattr(data, f"{part}_x"), getattr(data, f"{part}_y")
    train, test = _parts(data)
    x, y, _ = _Reader("data", None, 0, None).read(train if test is None else test, "test")
    if y.dtype.kind in "UO":
        raise InputError("labels must be whole numbers, the outputs of the network, got texts")
    return x, torch.from_numpy(y)


def _parts(data: Any) -> tuple[Any, Any]:
    """Return the training and the test part; None for a missing test part."""
    if isinstance(data, Mapping):
        train = next((data[key] for key in TRAIN if key in data), None)
        if train is None:
            raise InputError(f'the data must have a part "train", got {", ".join(map(str, data))}')
        return train, next((data[key] for key in TEST if key in data), None)
    if isinstance(data, tuple | list) and data:
        if is_array(data[0]):
            if len(data) not in (2, 4):
                raise InputError(
                    "arrays must be (x, y) or (train_x, train_y, test_x, test_y), got "
                    f"{len(data)} of them"
                )
            return data[:2], data[2:] or None
        if len(data) == 2:
            return data[0], data[1]
        raise InputError(f"data must be (train, test), got {len(data)} parts")
    return data, None


def is_array(x: Any) -> bool:
    """Return whether x is an array, a tensor or a data frame."""
    return isinstance(x, np.ndarray | Tensor) or hasattr(x, "to_numpy")


class _Reader:
    """Reads a part of the data: images, labels, and the names of the classes if they are known."""

    def __init__(
        self, name: str, columns: tuple[str, str] | None, workers: int, in_memory: bool | None
    ) -> None:
        self.name, self.columns, self.workers = name, columns, workers
        self.in_memory = in_memory

    def read(self, part: Any, what: str) -> tuple[Any, Any, Sequence[str] | None]:
        if isinstance(part, tuple | list) and len(part) == 2 and is_array(part[0]):
            return part[0], np.asarray(part[1]), None
        workers = self.workers
        if isinstance(part, DataLoader):
            check_data_loader(part)
            part, workers = part.dataset, workers or part.num_workers
        names = class_names(part, self.columns)
        if isinstance(part, IterableDataset) or not hasattr(part, "__getitem__"):
            if not isinstance(part, Iterable):
                raise InputError(
                    "data must be arrays, a dataset, a DataLoader or `ImageData`, got a "
                    f"{type(part).__name__}"
                )
            return (*read_iterable(part, self.columns), names)
        if not hasattr(part, "__len__"):
            raise InputError(f"the dataset, a {type(part).__name__}, must have a length (__len__)")
        return (*self.read_dataset(part, workers, what), names)

    def read_dataset(self, dataset: Any, workers: int, what: str) -> tuple[Any, Any]:
        """Read a map-style dataset into memory, or return a stream."""
        images = StreamedImages(Items(dataset, self.columns), workers)
        is_random = images.is_random()
        if is_random and what == "test":
            raise InputError(
                "the test dataset returns another image each time that it is read: leave out its "
                "random transform"
            )
        size = math.prod(images.shape) * images.dtype.itemsize
        at_once = size <= IN_MEMORY if self.in_memory is None else self.in_memory
        if is_random or not at_once:
            return images, np.asarray(images.scan.labels)
        x, labels = torch.empty(images.shape, dtype=images.dtype), []
        plan = torch.arange(len(images)).split(READ_AT_ONCE)
        for positions, (part, of_part) in zip(plan, images.batches(plan), strict=True):
            x[positions] = part
            labels += of_part
        return x, np.asarray(labels)


def check_data_loader(loader: DataLoader[Any]) -> None:
    """Raise InputError for a DataLoader with an order of its own, which would be lost."""
    sampler = getattr(loader, "sampler", None)
    known = isinstance(loader.dataset, IterableDataset) or isinstance(
        sampler, RandomSampler | SequentialSampler
    )
    if not known or getattr(sampler, "replacement", False):
        raise InputError(
            f"the DataLoader draws by a {type(sampler).__name__}, but training visits each image "
            "once an epoch in an order of its own: pass the dataset, and weights of the classes as "
            "an option"
        )


def class_names(dataset: Any, columns: tuple[str, str] | None) -> Sequence[str] | None:
    """Return the names of the classes that a dataset knows, or None."""
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping):  # Hugging Face
        label = column_of(features, columns and columns[1], LABEL_COLUMNS, "label")
        column_of(features, columns and columns[0], IMAGE_COLUMNS, "image")
        return getattr(features[label], "names", None)
    classes = getattr(dataset, "classes", None)
    if classes is None and hasattr(dataset, "dataset"):  # a Subset
        return class_names(dataset.dataset, columns)
    return classes if isinstance(classes, tuple | list) else None


def read_iterable(
    items: Iterable[Any], columns: tuple[str, str] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read images and labels once, into memory or, if they are large, a temporary file."""
    first, mode = None, None
    labels: list[Any] = []
    with Spool(IN_MEMORY) as spool:
        for item in items:
            if first is None:
                mode = picture_mode(image_of(item, columns))
            image, label = as_item(item, columns, mode)
            first = image if first is None else first
            check_alike(image, first, len(labels))
            spool.write(image.numpy().data)
            labels.append(label)
        if first is None:
            raise InputError("the dataset has no items")
        shape = (len(labels), *first.shape)
        return spool.as_array(first.numpy().dtype, shape), np.asarray(labels)


def _none_of(images: Any) -> Tensor:
    """Return no images, of the shape and type of these."""
    return torch.empty((0, *images.shape[1:]), dtype=as_images(images[:1]).dtype)


def coded(
    train_y: NDArray[Any], test_y: NDArray[Any], names: Sequence[str] | None, what: str
) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """Return the labels as numbers from 0, and the names of the classes. Labels may be texts."""
    if train_y.dtype.kind in "UO":
        names = sorted({*map(str, train_y)}) if names is None else names
        code = {name: i for i, name in enumerate(names)}
        unknown = sorted({*map(str, train_y), *map(str, test_y)} - code.keys())
        if unknown:
            raise InputError(f"{what}: unknown labels {', '.join(unknown[:5])}: not among {names}")
        train_y, test_y = (
            np.array([code[str(label)] for label in y], dtype=np.int64) for y in (train_y, test_y)
        )
    elif names is None:
        if train_y.dtype.kind in "iu" and len(train_y) and train_y.min() > 0:
            raise InputError(
                f"{what}: labels must be from 0, the smallest is {train_y.min()}: subtract it, or "
                "name all classes"
            )
        names = [str(i) for i in range(int(train_y.max()) + 1)] if len(train_y) else []
    return train_y, test_y, tuple(map(str, names))
