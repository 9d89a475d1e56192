import math

import numpy as np
import pytest
import torch

from sense.data import ImageData, to_float
from sense.errors import InputError


def data(**changes):
    parts = {
        "train_x": torch.arange(4 * 6, dtype=torch.uint8).view(4, 1, 2, 3),
        "train_y": torch.tensor([0, 1, 2, 0]),
        "test_x": torch.zeros(2, 1, 2, 3, dtype=torch.uint8),
        "test_y": torch.tensor([2, 1]),
    }
    return ImageData(name="mine", classes=("a", "b", "c"), **{**parts, **changes})


def floats(value=0.5, at=None):
    x = torch.full((4, 1, 2, 3), 0.5)
    x[at if at is not None else slice(None)] = value
    return x


def test_shape_and_float_conversion():
    assert data().shape == (1, 2, 3)
    bytes_ = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert to_float(bytes_).tolist() == pytest.approx([0, 0.2, 1])
    assert bytes_.tolist() == [0, 51, 255]
    assert torch.equal(to_float(floats(0.3)), floats(0.3))


@pytest.mark.parametrize(
    "change",
    [
        {"train_x": torch.zeros(4, 1, 2, 3, dtype=torch.uint8)},
        {"train_y": torch.tensor([0, 1, 2, 1])},
        {"test_x": torch.ones(2, 1, 2, 3, dtype=torch.uint8)},
        {"test_y": torch.tensor([2, 2])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_depends_on_every_part(change):
    assert data().sha256 == data().sha256
    assert data(**change).sha256 != data().sha256


BAD = {
    "flat": ({"train_x": torch.zeros(4, 6)}, r"train images must be n x channels x height x width"),
    "channels last": (
        {"train_x": torch.zeros(4, 8, 8, 3)},
        r"got shape \(4, 8, 8, 3\), with the channels last: pass numpy\.moveaxis\(x, 3, 1\)",
    ),
    "none": (
        {"train_x": torch.zeros(0, 1, 2, 3), "train_y": torch.zeros(0, dtype=torch.int64)},
        "train images: at least one is needed",
    ),
    "ones for white": (
        {"train_x": torch.arange(24).view(4, 1, 2, 3).remainder(2).byte()},
        "train images are the whole numbers 0 and 1.* pass floats",
    ),
    "labels alone": ({"test_x": torch.zeros(0, 1, 2, 3)}, "test images: at least one is needed"),
    "whole numbers": ({"train_x": floats().long()}, "must be uint8 or float32, got torch.int64"),
    "nan": ({"train_x": floats(math.nan, (2, 0, 1, 1))}, "NaN or infinite pixel, first in image 2"),
    "inf": ({"train_x": floats(math.inf, (1, 0, 0, 0))}, "NaN or infinite pixel, first in image 1"),
    "255": ({"train_x": floats(255.0, (1, 0, 0, 0))}, "from 0 to 1, got 0.5 to 255: divide by 255"),
    "negative": ({"train_x": floats(-1.0, 0)}, r"got -1 to 0.5\. If .* sense\.Normalised\("),
    "many labels": (
        {"train_y": torch.tensor([0, 1, 2])},
        "must be 4 int64 numbers, one per image",
    ),
    "label type": ({"train_y": torch.tensor([0.0, 1, 2, 0])}, "got torch.float32"),
    "counted from 1": ({"train_y": torch.tensor([1, 2, 3, 1])}, "to 2 for 3 classes, got 1 to 3"),
    "negative label": ({"test_y": torch.tensor([-1, 0])}, "test labels must .* got -1 to 0"),
    "unlike": ({"test_x": torch.zeros(2, 1, 3, 2)}, r"images are \(1, 2, 3\), .*\(1, 3, 2\)"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_invalid_images_and_labels_are_rejected(change, message):
    with pytest.raises(ValueError, match=f"mine: .*{message}|mine: {message}"):
        data(**change)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("labels", ["int8", "uint8", "int32", "int64"])
def test_numpy_arrays_and_any_integer_labels_are_accepted(dtype, labels):
    x, y = np.random.default_rng(0).random((4, 1, 5, 5)).astype(dtype), np.arange(4)
    data = ImageData("numpy", x, y.astype(labels), x[:, 0], y.astype(labels), tuple("abcd"))
    assert data.train_x.dtype == torch.float32
    assert data.train_y.dtype == torch.int64
    assert data.test_x.shape == (4, 1, 5, 5)  # grey images need no dimension for channels
    assert torch.equal(data.train_x, torch.from_numpy(x.astype("float32")))
    tensors = ImageData(
        "torch",
        torch.from_numpy(x),
        torch.from_numpy(y),
        torch.from_numpy(x),
        torch.from_numpy(y),
        tuple("abcd"),
    )
    assert tensors.sha256 == data.sha256


@pytest.mark.parametrize("y", [np.array([0.0, 1.0]), np.array([True, False]), [0, 1], None])
def test_labels_of_another_type_are_rejected(y):
    x = torch.zeros(2, 1, 3, 3)
    with pytest.raises(InputError, match="labels: train labels must be"):
        ImageData("labels", x, y, x, y, ("a", "b"))


def test_test_images_have_a_hash_of_their_own():
    x, y = torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 2])
    whole = ImageData(
        "a", torch.rand(5, 1, 4, 4), torch.tensor([0, 1, 2, 0, 1]), x, y, tuple("abc")
    )
    tests = ImageData.from_test_images("a", x, y, tuple("abc"))
    assert tests.test_sha256 == whole.test_sha256
    assert tests.sha256 != whole.sha256
    assert tests.with_sha256(whole.sha256).sha256 == whole.sha256
