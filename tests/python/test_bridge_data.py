"""Arrays in R's order, numbers as floats, labels from 0."""

import numpy as np
import pytest
import torch

from sense.bridge.data import images_from_r, labels_from_r


def test_greyscale_images_get_a_channel():
    x = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    images = images_from_r(x, None)
    assert images.shape == (2, 1, 3, 5)
    assert images.dtype == torch.uint8
    assert int(images[1, 0, 2, 3]) == x[1, 2, 3]


def test_channels_come_last_in_r_and_first_in_torch():
    x = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    images = images_from_r(x, None)
    assert images.shape == (2, 4, 3, 5)
    assert int(images[1, 3, 2, 4]) == x[1, 2, 4, 3]


def test_the_memory_order_of_arrays_does_not_matter():
    x = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    fortran = np.asfortranarray(x)
    assert fortran.strides != x.strides
    assert torch.equal(images_from_r(fortran, None), images_from_r(x, None))


def test_floating_point_pixels_are_unchanged():
    x = np.linspace(0, 1, 12).reshape(1, 3, 4)
    images = images_from_r(x, None)
    assert images.dtype == torch.float32
    np.testing.assert_allclose(images[0, 0].numpy(), x[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "shape", "message"),
    [
        (np.zeros((2, 9)), None, r"n x height x width \(x channels\), got \(2, 9\)"),
        (np.full((1, 2, 2), 256), None, "integer pixels must be from 0 to 255, got 256"),
        (np.full((1, 2, 2), -1), None, "integer pixels must be from 0 to 255, got -1"),
        (np.zeros((1, 5, 3)), (1, 3, 5), "n x 3 x 5 x 1 .* got 1 x 5 x 3 x 1"),
        (np.zeros((1, 1, 3, 5)), (1, 3, 5), "n x 3 x 5 x 1 .* got 1 x 1 x 3 x 5"),
        (np.zeros((0, 2, 2), dtype=int), None, "at least one is needed"),
        (np.full((1, 2, 2), 200.0), None, "divide by 255"),
        (np.full((1, 2, 2), np.nan), None, "NaN"),
    ],
)
def test_invalid_images_are_rejected(x, shape, message):
    with pytest.raises(ValueError, match=message):
        images_from_r(x, shape)


def test_labels_become_int64():
    assert labels_from_r([0.0, 2.0, 1.0]).tolist() == [0, 2, 1]
    assert labels_from_r(3).tolist() == [3]  # R's vectors of length one
    assert labels_from_r(np.array([1, 0], dtype=np.int32)).dtype == torch.int64


@pytest.mark.parametrize("labels", [[0.5, 1.0], [np.nan, 1.0], ["a", "b"]])
def test_labels_that_are_not_whole_numbers_are_rejected(labels):
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        labels_from_r(labels)
