"""Datasets as users have them: of torch and torchvision, and of Hugging Face by duck typing.

The classes for Hugging Face have the methods and attributes of `datasets` 4 that matter here:
`Dataset.__getitem__` (int: a dict, slice or list: a dict of lists, text: a column), `__len__`,
`features`, `column_names`, `set_transform`; `DatasetDict`, a dict; `IterableDataset`, without
length.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset


class Pictures(Dataset):
    """(image, label), with a transform of the image, as in torchvision."""

    def __init__(self, x, y, transform=None, classes=None):
        self.x, self.y, self.transform, self.read = x, y, transform, []
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        self.read.append(i)
        image = Image.fromarray(self.x[i])
        return (image if self.transform is None else self.transform(image)), int(self.y[i])


def to_tensor(image):
    """torchvision's ToTensor."""
    array = np.array(image)
    array = array[:, :, None] if array.ndim == 2 else array
    return torch.from_numpy(array.transpose(2, 0, 1).copy()).to(torch.float32).div(255)


def random_flip(image):
    """torchvision's RandomHorizontalFlip, then ToTensor."""
    x = to_tensor(image)
    return x.flip(2) if torch.rand(1) < 0.5 else x


class Stream(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


class ClassLabel:
    def __init__(self, names):
        self.names, self.num_classes = names, len(names)

    def int2str(self, value):
        return self.names[value]


class Feature:
    """`Image`, `Value` and other features: here only their presence matters."""


class HFDataset:
    def __init__(self, columns: dict[str, list], features: dict[str, Any]) -> None:
        self._columns, self.features, self._transform = columns, features, None

    @property
    def column_names(self) -> list[str]:
        return list(self._columns)

    @property
    def num_rows(self) -> int:
        return len(next(iter(self._columns.values())))

    def __len__(self) -> int:
        return self.num_rows

    def set_transform(self, transform) -> None:
        self._transform = transform

    def __getitem__(self, key):
        if isinstance(key, str):
            return self._columns[key]
        if isinstance(key, int):
            row = {name: [values[key]] for name, values in self._columns.items()}
            row = row if self._transform is None else self._transform(row)
            return {name: values[0] for name, values in row.items()}
        keys = range(*key.indices(len(self))) if isinstance(key, slice) else key
        return {name: [values[i] for i in keys] for name, values in self._columns.items()}

    def __iter__(self) -> Iterator[dict]:
        return (self[i] for i in range(len(self)))


class HFDatasetDict(dict):
    pass


class HFIterableDataset:
    """It has no length and no positions; `features` may be unknown."""

    def __init__(self, dataset: HFDataset) -> None:
        self._dataset, self.features = dataset, None

    def __iter__(self) -> Iterator[dict]:
        return iter(self._dataset)
