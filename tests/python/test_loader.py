import pytest
import torch

from sense.data import to_float
from sense.data.loader import BatchLoader


def test_a_batch_is_the_images_at_its_positions(few):
    index = torch.tensor([7, 0, 299])
    x, y = BatchLoader(few.train_x, few.train_y, torch.device("cpu")).take(index)
    assert torch.equal(x, few.train_x[index].float() / 255)
    assert x.dtype == torch.float32
    assert torch.equal(y, few.train_y[index])


def test_small_image_sets_are_kept_on_the_device_as_bytes(few):
    loader = BatchLoader(few.train_x, few.train_y, torch.device("meta"))
    assert (loader.x.device.type, loader.x.dtype) == ("meta", torch.uint8)
    x, y = loader.take(torch.tensor([1, 2]))
    assert (x.device.type, x.shape, y.device.type) == ("meta", (2, 1, 28, 28), "meta")


def test_larger_image_sets_stay_in_cpu_memory(few):
    assert (
        BatchLoader(few.train_x, few.train_y, torch.device("meta"), limit=few.train_x.numel() - 1).x
        is few.train_x
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs a GPU")
@pytest.mark.parametrize("resident", [0, 2**32])
def test_batches_are_the_same_from_gpu_and_cpu_memory(few, resident):
    index = torch.tensor([7, 0, 299])
    x, y = BatchLoader(few.train_x, few.train_y, torch.device("cuda"), resident).take(index)
    assert torch.equal(x.cpu(), to_float(few.train_x[index]))
    assert torch.equal(y.cpu(), few.train_y[index])
