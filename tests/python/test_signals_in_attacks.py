"""A signal during an attack on a slow network ends the process within seconds, and only the batch
in progress is lost. Real processes."""

import json
import signal
import sys
import time

import pytest

from sense.checkpoint import CHECKPOINT, load_checkpoint
from sense.evaluation.outcomes import OUTCOMES
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import EVALUATION

LIMIT = 5.0  # seconds
OTHERS = ("fgsm", "targeted-pgd", "deepfool", "square")
MODULE = '''
import os
import sys
import time

import torch


class Slow(torch.autograd.Function):
    """The identity, which takes PAUSE seconds in both directions for 20 images."""

    @staticmethod
    def forward(ctx, x):
        time.sleep(PAUSE * len(x) / 20)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        time.sleep(PAUSE * len(gradient) / 20)
        return gradient


class Layer(torch.nn.Module):
    def forward(self, x):
        return Slow.apply(x)


PAUSE = float(os.environ.get("PAUSE", "0"))


def factory():
    """A network of many slow layers: a pass takes much longer than the limit."""
    torch.manual_seed(0)
    layers = [Layer() for _ in range(12)]
    return torch.nn.Sequential(torch.nn.Flatten(), *layers, torch.nn.Linear(784, 10))
'''


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A module with a slow network, `pause` seconds a layer."""
    (tmp_path / "slow_network.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda pause: monkeypatch.setenv("PAUSE", str(pause))
    sys.modules.pop("slow_network", None)


def seconds_to_end(process, wait, number=signal.SIGTERM):
    """Send the signal as soon as `wait()` is true and a pass is running; return what it took."""
    deadline = time.monotonic() + 120
    while not wait():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(3.0)
    assert process.poll() is None, process.communicate()
    sent = time.monotonic()
    process.send_signal(number)
    message = process.stderr.readline()
    while message.startswith("note: "):
        message = process.stderr.readline()
    waited = time.monotonic() - sent  # without the end of the interpreter
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "stopped" in message
    return waited


@pytest.mark.parametrize(
    "attack",
    [
        "pgd",
        "autoattack",
        *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS),
    ],
)
def test_every_attack_of_an_evaluation_stops_within_seconds(tmp_path, slow, start, attack):
    if attack in ("square", "autoattack"):
        pytest.importorskip("pyautoattack")
    slow(0.5)
    process = start(
        "sense.evaluate",
        "slow_network:factory",
        "--dataset",
        "mnist-sample",
        "--eps",
        0.01,
        "--n",
        20,
        "--attacks",
        attack,
        "--no-diagnostics",
        "--device",
        "cpu",
        "--threads",
        1,
        "--out",
        tmp_path / "out",
        module_path=tmp_path,
    )
    natural = tmp_path / "out" / OUTCOMES
    rows = 1 + 20  # all of natural
    waited = seconds_to_end(
        process, lambda: natural.exists() and natural.read_bytes().count(b"\n") >= rows
    )
    assert waited < LIMIT
    assert natural.read_bytes().count(b"\n") == rows
    assert not json.loads((tmp_path / "out" / EVALUATION).read_text())["finished"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_step_of_training_stops_within_seconds(tmp_path, slow, start, number):
    slow(0.5)
    run = tmp_path / "run"
    process = start("sense.train", *training(), "--out", run, module_path=tmp_path)
    assert seconds_to_end(process, (run / "config.json").exists, number) < LIMIT
    assert load_checkpoint(run)["progress"]["step"] == 0
    # Resumed without the pauses, it ends as if it had never begun.
    slow(0)
    end(start("sense.train", "--resume", run, *model(), module_path=tmp_path))
    end(start("sense.train", *training(), "--out", tmp_path / "whole", module_path=tmp_path))
    names = ("model.safetensors",)
    assert [(run / name).read_bytes() for name in names] == [
        (tmp_path / "whole" / name).read_bytes() for name in names
    ]


def model():
    return ["--model", "slow_network:factory"]


def training():
    return [
        *model(),
        "--method",
        "r-at",
        "--steps",
        2,
        "--train-size",
        60,
        "--batch-size",
        20,
        "--pretrain",
        0,
        "--epochs",
        1,
        "--monitor-size",
        10,
        "--device",
        "cpu",
        "--threads",
        1,
    ]


def end(process):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def test_a_signal_while_the_accuracies_of_an_epoch_are_measured_loses_no_step(
    tmp_path, slow, start
):
    """The batches are small and the monitored images many."""
    slow(0.025)
    run = tmp_path / "run"
    process = start(
        "sense.train", *training(), "--method", "nt", "--out", run, module_path=tmp_path
    )
    # Three steps take 3 x 12 x 2 x 0.025 = 1.8 seconds; PGD on the monitored images as much.
    deadline = time.monotonic() + 60
    while not (run / "config.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(2.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    slow(0)
    end(start("sense.train", "--resume", run, *model(), module_path=tmp_path))
    whole = tmp_path / "whole"
    end(start("sense.train", *training(), "--method", "nt", "--out", whole, module_path=tmp_path))
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (run / CHECKPOINT).exists()


def test_an_evaluation_that_was_stopped_in_an_attack_has_the_same_outcomes(tmp_path, slow, trained):
    folder, data = trained
    settings = Settings(attacks=("pgd",), n=60, steps=5, restarts=1, batch=20, diagnostics=False)
    whole = evaluate_run(folder, settings, data=data, out=tmp_path / "whole", device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sense.evaluation.stored_evaluation.PATIENCE", 0.0)
        for most in (3, 6, 14):
            calls = iter(range(10**6))
            with pytest.raises(Exception, match="run the same command to resume"):
                evaluate_run(
                    folder,
                    settings,
                    data=data,
                    out=tmp_path / "pieces",
                    device="cpu",
                    stop=lambda calls=calls, most=most: 15 if next(calls) >= most else None,
                )
    found = evaluate_run(folder, settings, data=data, out=tmp_path / "pieces", device="cpu")
    assert found["accuracy"] == whole["accuracy"]
    assert (tmp_path / "pieces" / OUTCOMES).read_bytes() == (
        tmp_path / "whole" / OUTCOMES
    ).read_bytes()
