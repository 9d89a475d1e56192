"""Data that memory cannot hold: the same bits as in memory, in any order of interruptions."""

import copy
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from conftest import ROOT
from datasets import Pictures, random_flip
from processes import together
from sense.config import Config
from sense.data import ImageData, as_data
from sense.data.items import Items, Key
from sense.data.mnist import load_sample
from sense.data.streams import StreamedImages
from sense.errors import InputError
from sense.random_numbers import preserved_cpu_state
from sense.train import TrainingStopped, fit
from test_resume import after, outcome

STEPS = 18  # of `tiny` on 300 images: 3 epochs


@pytest.fixture(scope="module")
def pictures(few):
    """The images of `few` as a dataset of pictures."""
    return Pictures(few.train_x[:, 0].numpy(), few.train_y.numpy(), classes=list(few.classes))


def streamed(few, pictures, workers=0):
    tests = (few.test_x.numpy(), few.test_y.numpy())
    return as_data((pictures, tests), in_memory=False, workers=workers, name="few")


def test_a_stream_has_the_checksums_classes_and_images_of_memory(few, pictures):
    data = streamed(few, pictures)
    assert isinstance(data.train_x, StreamedImages)
    assert (data.sha256, data.test_sha256) == (few.sha256, few.test_sha256)
    assert data.classes == few.classes
    index = torch.tensor([299, 0, 7])
    assert torch.equal(data.train_x[index], few.train_x[index])
    assert torch.equal(data.train_x[:3], few.train_x[:3])
    tests_too = as_data((pictures, pictures), in_memory=False)
    assert (
        tests_too.test_sha256
        == ImageData.from_test_images("few", few.train_x, few.train_y, few.classes).test_sha256
    )


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "change",
    [{}, {"validation_size": 60, "keep": "best"}, {"train_size": 120}],
    ids=["all", "validation", "part"],
)
def test_training_on_a_stream_gives_the_bits_of_memory(
    few, pictures, tiny, tmp_path, change, workers
):
    config = replace(tiny, epochs=1, **change)
    fit(config, tmp_path / "memory", data=few)
    fit(config, tmp_path / "stream", data=streamed(few, pictures, workers))
    assert outcome(tmp_path / "stream") == outcome(tmp_path / "memory")


@pytest.mark.parametrize(
    "change",
    [
        {"method": "sense"},
        {"method": "mma"},
        {"method": "iaat", "warmup": 1},
    ],
    ids=lambda change: change["method"],
)
def test_a_run_on_a_stream_is_resumed_in_memory_and_vice_versa(
    few, pictures, tiny, tmp_path, change
):
    config, stream = replace(tiny, steps=2, **change), streamed(few, pictures, workers=1)
    fit(config, tmp_path / "whole", data=few)
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "run", data=stream, stop=after(8))  # within the second epoch
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "run", data=few, stop=after(3), resume=True)
    fit(config, tmp_path / "run", data=stream, resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def flipped(few):
    return Pictures(few.train_x[:, 0].numpy(), few.train_y.numpy(), random_flip)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_random_transform_is_drawn_anew_in_each_epoch_and_resumed(few, tiny, tmp_path, workers):
    config = replace(tiny, method="nt")
    data = as_data(flipped(few), workers=workers)
    assert isinstance(data.train_x, StreamedImages)
    batches = [next(iter(data.train_x.batches([torch.arange(50)], seed)))[0] for seed in (1, 1, 2)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    assert as_data(flipped(few)).sha256 == data.sha256
    fit(config, tmp_path / "whole", data=as_data(flipped(few)))
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "run", data=data, stop=after(8))
    fit(config, tmp_path / "run", data=data, resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_reading_leaves_the_random_numbers_of_the_program_alone(few):
    images = StreamedImages(Items(flipped(few)))
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(3), np.random.random(3)
    torch.manual_seed(1)
    np.random.seed(1)
    assert images.is_random()
    next(iter(images.batches([torch.arange(9)], 3)))
    assert torch.equal(torch.rand(3), expected[0])
    assert (np.random.random(3) == expected[1]).all()


def test_a_random_image_depends_on_position_and_seed_only(few):
    items = Items(flipped(few))
    with preserved_cpu_state():
        alone = items.read(Key(5, 9)).image
        for i in range(9):
            items.read(Key(i, 4))
        assert torch.equal(items.read(Key(5, 9)).image, alone)


def train_on_a_stream(rank, folder):
    """In batches of 5 images, of which the processes have 3 and 2, and one of 6."""
    sample = load_sample()
    dataset = Pictures(sample.train_x[:31, 0].numpy(), sample.train_y[:31].numpy())
    torch.manual_seed(2)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    for name, in_memory in (("memory", True), ("stream", False)):
        data = as_data(dataset, in_memory=in_memory, workers=1, classes=sample.classes)
        config = Config(
            method="r-at", pretrain=0, epochs=2, batch_size=5, steps=2, threads=1, device="cpu"
        )
        fit(config, folder / name, data=data, model=copy.deepcopy(network))


def test_each_process_reads_its_part_of_a_batch(tmp_path):
    together(train_on_a_stream, 2, tmp_path)
    assert outcome(tmp_path / "stream") == outcome(tmp_path / "memory")


class Broken(Pictures):
    """One item, read when all were checked, has another size."""

    fails = False

    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        return (image.resize((9, 9)) if self.fails and i == 17 else image), label


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_worker_is_one_sentence(few, tiny, tmp_path, workers):
    dataset = Broken(few.train_x[:, 0].numpy(), few.train_y.numpy())
    data = as_data(dataset, in_memory=False, workers=workers)
    dataset.fails = True
    with pytest.raises(InputError, match=r"^all images must be alike: image 17 \(from 0\)"):
        fit(replace(tiny, monitor_size=1), tmp_path / "run", data=data)


def test_the_workers_of_a_data_loader_are_used(pictures):
    loader = DataLoader(pictures, num_workers=2, batch_size=7)
    assert as_data(loader, in_memory=False).train_x.workers == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: (x / np.float32(255)).astype(np.float32),
        lambda x: x / np.float64(255),
        lambda x: np.asfortranarray(x),
        lambda x: x[:, 0],
    ],
    ids=["bytes", "float32", "float64", "fortran", "without channels"],
)
def test_a_mapped_array_is_trained_on_as_one_in_memory(few, tiny, tmp_path, change):
    x = change(few.train_x.numpy())
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    config = replace(tiny, epochs=1, pretrain=0)
    fit(config, tmp_path / "memory", data=as_data((x, few.train_y.numpy())))
    fit(config, tmp_path / "mapped", data=as_data((mapped, few.train_y.numpy())))
    assert outcome(tmp_path / "mapped") == outcome(tmp_path / "memory")


GIGABYTE = 2**30
LIMITED = """
import resource, sys
import numpy as np
import torch
from torch import nn
import sense
from sense.data import as_data
from sense.config import Config

x = np.load(sys.argv[1], mmap_mode="r")
torch.manual_seed(0)
network = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
config = Config(
    dataset="arrays", method="r-at", eps=0.1, steps=2, pretrain=0, epochs=1, monitor_size=8,
    threads=1, device="cpu", batch_size=16, validation_size=16,
)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
used = 1024 * int(status["VmData"].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (used + 256 * 2**20,) * 2)
stops = iter([None] * 5 + [2] * 9)
try:
    data = as_data((x, np.arange(len(x)) % 2))
    sense.fit(config, sys.argv[2], data=data, model=network, stop=lambda: next(stops))
except sense.train.TrainingStopped:
    print("stopped", data.train_x.dtype)
try:
    np.ones(512 * 2**20, np.uint8)
except MemoryError:
    print("512 MB more are refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA limits private memory on Linux")
@pytest.mark.parametrize("dtype", ["uint8", pytest.param("float64", marks=pytest.mark.slow)])
def test_a_mapped_gigabyte_is_trained_on_within_256_megabytes(tmp_path, dtype):
    """Beyond what Python and torch have when training begins."""
    size = 3 * 64 * 64
    n = GIGABYTE // (size * np.dtype(dtype).itemsize)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", dtype, (n, 3, 64, 64))
    x[::1000] = 1 if dtype == "float64" else 255  # the rest of the file is sparse
    del x
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), tmp_path / "x.npy", tmp_path / "run"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    kind = "torch.uint8" if dtype == "uint8" else "torch.float32"
    assert done.stdout.splitlines() == [f"stopped {kind}", "512 MB more are refused"]
    assert (tmp_path / "run/checkpoint.pt").is_file()
