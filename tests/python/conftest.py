"""Shared by the tests: part of the real sample, a run that takes a second, real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sense.config import Config
from sense.data import ImageData, download
from sense.data.mnist import load_sample
from sense.run_folder import RunFolder
from sense.train import fit
from servers import Server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _one_thread_one_seed():
    """Bit for bit needs a fixed number of threads; a test that draws needs a fixed seed."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _hangups_are_not_ignored():
    """As they are under nohup, which the tests' own processes would inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def sample() -> ImageData:
    return load_sample()


@pytest.fixture(scope="session")
def few(sample) -> ImageData:
    """300 + 100 of the sample's images: 6 steps an epoch for `tiny`."""
    return ImageData(
        name="few",
        classes=sample.classes,
        train_x=sample.train_x[:300],
        train_y=sample.train_y[:300],
        test_x=sample.test_x[:100],
        test_y=sample.test_y[:100],
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory, sample) -> tuple[Path, ImageData]:
    """A run, and its data: a network that is right often, and often not under attack; 600 test
    images. Results go elsewhere: the folder is everyone's."""
    data = ImageData(
        name="some",
        classes=sample.classes,
        train_x=sample.train_x[:3000],
        train_y=sample.train_y[:3000],
        test_x=sample.test_x[:600],
        test_y=sample.test_y[:600],
    )
    folder = tmp_path_factory.mktemp("trained") / "run"
    config = Config(
        dataset="arrays",
        model="capacity-1",
        method="nt",
        pretrain=0,
        epochs=2,
        batch_size=50,
        lr=0.05,
        eps=0.08,
        monitor_size=32,
        threads=1,
        device="cpu",
    )
    fit(config, folder, data=data)
    return folder, data


@pytest.fixture
def tiny() -> Config:
    """Half a second for `few`; all three stages occur in each epoch of sense."""
    return Config(
        dataset="arrays",
        model="capacity-2",
        pretrain=1,
        epochs=2,
        batch_size=50,
        lr=0.2,
        steps=3,
        step_size=0.08,
        eps=0.2,
        c=0.15,
        monitor_size=32,
        threads=1,
        device="cpu",
        precision="float32",
        cuda_graphs="off",
    )


@pytest.fixture
def locked(tmp_path):
    """The test's folder, to be written into."""
    with RunFolder(tmp_path) as folder:
        folder.lock()
        yield folder


@pytest.fixture
def start(tmp_path):
    """Start `python -m MODULE ...` in an empty folder; what still runs at the end is killed."""
    started = []

    def start(module: str, *arguments: object, module_path: Path | None = None) -> subprocess.Popen:
        paths = [ROOT / "python", *([module_path] if module_path else [])]
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "NO_COLOR": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def serve(monkeypatch):
    """Start servers on this machine, see `servers`; downloads from them lose no time in pauses."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "PROGRESS", 40_000)
    servers = []

    def start(*answers):
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()
