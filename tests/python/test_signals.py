"""Real processes, real signals."""

import random
import signal
import time
from dataclasses import replace

import pytest

from sense.checkpoint import CHECKPOINT
from sense.cli import train_main
from sense.config import recipe
from sense.data.idx import write_idx
from sense.data.mnist import FILES, load_folder
from sense.runs import CONFIG
from sense.train import fit
from test_resume import outcome

OPTIONS = {
    "dataset": "mnist",
    "model": "capacity-2",
    "method": "sense",
    "random_start": True,
    "lr": 0.05,
    "c": 0.2,
    "eps": 0.15,
    "step_size": 0.08,
    "steps": 2,
    "pretrain": 0,
    "epochs": 3,
    "monitor_size": 32,
    "batch_size": 20,
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sample):
    """1,000 images: 150 steps, long enough for a signal to arrive."""
    path = tmp_path_factory.mktemp("data")
    for part, name in FILES.items():
        array = getattr(sample, part)[: 1000 if "train" in part else 100].numpy().astype("uint8")
        write_idx(path / f"{name}.gz", array.squeeze())
    return path


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory, folder):
    path = tmp_path_factory.mktemp("unstopped")
    config = replace(recipe(), data_dir=folder, **OPTIONS)  # what the command starts from
    fit(config, path, data=load_folder(folder, "mnist"))
    whole = outcome(path)
    assert all(line[f"stage_{stage}"] > 0 for line in whole[1] for stage in "abc")
    return whole


@pytest.fixture
def begin(start, folder):
    def begin(run):
        options = {**OPTIONS, "data_dir": folder}
        arguments = [
            text
            for name, value in options.items()
            for text in (f"--{name.replace('_', '-')}", value)
        ]
        return start("sense.train", *arguments, "--out", run)

    return begin


def wait_for(path, process):
    """Wait until the file exists: training has begun, and signals are noted."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stopped(run, process, number):
    wait_for(run / CONFIG, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert errors == f"stopped; resume with --resume {run}\n"
    assert (run / CHECKPOINT).exists()
    return process.returncode


def test_a_run_stopped_by_ctrl_c_is_resumed(tmp_path, begin, capsys, unstopped):
    run = tmp_path / "run"
    assert stopped(run, begin(run), signal.SIGINT) == 130
    train_main(["--resume", str(run)])
    output, errors = capsys.readouterr()
    assert errors == ""
    assert output.splitlines()[-1] == f"run: {run}"
    assert "epoch   3/3" in output
    assert outcome(run) == unstopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_stop_a_run(tmp_path, begin, number):
    run = tmp_path / "run"
    assert stopped(run, begin(run), number) == 128 + number


def kill_and_resume(run, begin, start, delays):
    process = begin(run)
    wait_for(run / CONFIG, process)
    for delay in delays:
        time.sleep(delay)
        process.kill()
        process.communicate()
        process = start("sense.train", "--resume", run)
        process.stdout.readline()  # an epoch has ended, or the run
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


def test_a_killed_run_is_resumed(tmp_path, begin, unstopped):
    """After a whole epoch; `tests/torture/kills.py` kills at any moment and any write."""
    run = tmp_path / "run"
    process = begin(run)
    process.stdout.readline()
    process.kill()
    process.communicate()
    train_main(["--resume", str(run)])
    assert outcome(run) == unstopped


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_run_killed_at_random_moments_is_resumed(tmp_path, begin, start, unstopped, seed):
    draw = random.Random(seed)
    kill_and_resume(tmp_path / "run", begin, start, [draw.uniform(0, 0.6) for _ in range(4)])
    assert outcome(tmp_path / "run") == unstopped
