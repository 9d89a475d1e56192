"""Arrays of numpy as tensors: in any order in memory, and only of numbers."""

import numpy as np
import pytest
import torch

import sense
from networks import conv_network
from sense.data import ImageData
from sense.data.arrays import tensor_of
from sense.errors import InputError

NUMBERS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
FORMS = {
    "as it is": NUMBERS,
    "reversed": NUMBERS[::-1, :, ::-1],
    "transposed": NUMBERS.transpose(2, 0, 1),
    "every second": NUMBERS[:, ::2],
    "other byte order": NUMBERS.astype(">f4"),
    "reversed in the other byte order": NUMBERS.astype(">f8")[::-1],
    "read only": np.frombuffer(NUMBERS.tobytes(), np.float32),
    "long double": NUMBERS.astype(np.longdouble),
    "bytes": NUMBERS.astype(np.uint8),
    "whole numbers": NUMBERS.astype(">i2")[::-1],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_tensor_has_the_numbers_of_the_array(form):
    found = tensor_of(form, "images")
    assert found.shape == form.shape
    assert found.tolist() == form.tolist()


def test_memory_is_shared_where_torch_can():
    x = NUMBERS.copy()
    found = tensor_of(x, "images")
    x[0, 0, 0] = 7
    assert found[0, 0, 0] == 7
    assert tensor_of(found, "images") is found


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1, 2], "images must be a tensor or a numpy array, got a list"),
        (np.array(["a"]), "images must be an array of numbers, got the type <U1"),
        (np.array([1, None]), "images must be an array of numbers, got the type object"),
        (np.ones(2, complex), "images must be an array of numbers, got the type complex128"),
        (np.array(["2026"], "datetime64"), "images must be an array of numbers"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        tensor_of(x, "images")


@pytest.mark.parametrize("change", [lambda x: x[::-1], lambda x: x.astype(x.dtype.newbyteorder())])
def test_evaluation_and_training_data_do_not_depend_on_the_form(change):
    x = np.random.default_rng(0).random((12, 1, 8, 8)).astype(np.float32)
    y = np.arange(12) % 3
    same = change(change(x))
    assert np.array_equal(same, x)
    network, ball = conv_network().float().eval(), {"eps": 0.1, "steps": 2}
    first = sense.evaluate(network, x, y, **ball)
    again = sense.evaluate(network, change(x), change(y), **ball)
    assert again.accuracy["natural"].n == first.accuracy["natural"].n == 12
    whole = ImageData("a", x, y, x, y, tuple("abc"))
    assert torch.equal(
        ImageData("a", change(x), change(y), x, y, tuple("abc")).train_x.sum(), whole.train_x.sum()
    )


def test_images_in_a_file_may_have_another_byte_order(tmp_path):
    x = np.random.default_rng(0).random((6, 1, 8, 8))
    np.save(tmp_path / "x.npy", x.astype(">f8"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    y = np.arange(6) % 3
    data = ImageData("a", mapped, y, x[:2], y[:2], tuple("abc"))
    network = conv_network().float().eval()
    with torch.no_grad():
        expected = network(torch.from_numpy(x).float()).argmax(1)
    found = sense.evaluate(network, data.train_x, torch.from_numpy(y), eps=0.1, steps=1)
    assert [
        one.prediction for one in found.outcomes if one.attack == "natural"
    ] == expected.tolist()


@pytest.mark.parametrize("kind", [bool, np.int64, np.int32])
def test_images_of_whole_numbers_other_than_bytes_are_refused(kind):
    x = np.ones((4, 1, 8, 8), kind)
    with pytest.raises(InputError, match=r"x must be bytes .* or floating point .*: convert x"):
        sense.evaluate(conv_network().float(), x, np.zeros(4, np.int64), eps=0.1)
