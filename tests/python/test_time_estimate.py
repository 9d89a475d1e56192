"""The time of a training, shown before its first step: from injected seconds, and measured."""

import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from sense import time_estimate, training_setup
from sense.bridge import train as train_from_r
from sense.config import Config
from sense.stopping import PassStopped
from sense.time_estimate import duration, expected_seconds, step_seconds, time_note
from sense.train import TrainingStopped, fit
from test_resume import after, outcome

CPU, CUDA = torch.device("cpu"), torch.device("cuda")  # only its name is used
BASE = Config(method="r-at", pretrain=0, epochs=10, batch_size=100)


def never():
    return None


def seconds_per_image(taken, **of_method):
    """Steps that take so many seconds for each image, by method."""

    def take_steps(options, images, stop):
        while True:
            taken.append((options.method, images))
            yield of_method[options.method.replace("-", "_")] * images

    return take_steps


def test_the_time_of_all_epochs_is_the_sum_of_their_steps():
    steps = seconds_per_image([], r_at=0.002, nt=0.0005)
    seconds = expected_seconds(BASE, 1000, 50, CPU, steps, never)
    assert seconds == pytest.approx(10 * (1000 + 50) * 0.002)
    config = replace(BASE, pretrain=4, awp=0.01)
    seconds = expected_seconds(config, 1050, 50, CPU, steps, never)  # 11 steps, the last is short
    assert seconds == pytest.approx(10 * (1100 + 50) * 0.002 + 4 * (1100 * 0.0005 + 50 * 0.002))


@pytest.mark.parametrize(("own", "slowest"), [(0.001, 0.004), (0.006, 0.006)])
def test_an_attack_that_leaves_out_images_is_taken_to_be_that_of_r_at(own, slowest):
    config = replace(BASE, method="sense")
    steps = seconds_per_image([], sense=own, r_at=0.004)
    assert expected_seconds(config, 100, 0, CPU, steps, never) == pytest.approx(10 * 100 * slowest)


def test_slow_steps_are_measured_on_fewer_images():
    taken = []

    def take(n):
        while True:
            taken.append(n)
            yield 0.05 * n

    assert step_seconds(take, 128, CPU) == pytest.approx(0.05 * 128)
    assert taken == [4, 4, 16, 16, 64, 64, 64, 64], "until four steps take a second each"
    taken.clear()
    assert step_seconds(take, 128, CUDA) == pytest.approx(0.05 * 128)
    assert set(taken) == {128}
    assert step_seconds(take, 3, CPU) == pytest.approx(0.15)
    taken.clear()
    assert step_seconds(take, 128, CPU, short=6.5) == pytest.approx(0.05 * 128)
    assert taken == [4, 4], "enough is known of a short training"


def test_the_start_of_a_step_is_not_multiplied():
    """A step takes 0.3 seconds and a millisecond for each image; the first one, 3 seconds more."""

    def take(n):
        yield 3.3
        while True:
            yield 0.3 + 0.001 * n

    assert step_seconds(take, 128, CPU) == pytest.approx(0.428)


@pytest.mark.parametrize("slow", [2, 3])
def test_slow_steps_of_few_images_on_a_busy_machine_are_not_multiplied(slow):
    """The first steps of four images take two seconds because of other programs."""

    def take(n):
        yield from [2.0] * (slow if n == 4 else 0)
        while True:
            yield 0.01 * n

    assert step_seconds(take, 16, CPU) == pytest.approx(0.16)


def note(config, seconds=0.01, images=60_000, **options):
    return time_note(
        config,
        images,
        256,
        CPU,
        seconds_per_image([], r_at=seconds, sense=seconds, nt=seconds),
        **options,
    )


def test_what_is_said(monkeypatch):
    monkeypatch.setattr(time_estimate, "bfloat16_is_native", lambda device: False)
    assert note(BASE) == "training takes about 1.7 hours here"
    assert note(replace(BASE, method="sense")).endswith(
        "here, and less while few images take all steps of the attack"
    )
    slow = note(BASE, auto_precision=True)
    assert "This processor has no instructions for bfloat16 (AMX)" in slow
    monkeypatch.setattr(time_estimate, "bfloat16_is_native", lambda device: True)
    assert note(BASE, auto_precision=True) == note(BASE)


def test_nothing_is_said_of_a_short_training_a_planned_one_and_code_that_may_have_a_state():
    assert note(BASE, images=1000) is None
    assert note(replace(BASE, minutes=500.0)) is None
    assert note(replace(BASE, schedule="my_module:schedule")) is None
    assert note(BASE, stop=lambda: 15) is None


def test_durations():
    found = [duration(s) for s in (185, 89 * 60, 3.4 * 3600, 47 * 3600, 12.2 * 86400)]
    assert found == ["3 minutes", "89 minutes", "3.4 hours", "47.0 hours", "12 days"]


def test_steps_that_take_too_long_are_given_up(monkeypatch):
    monkeypatch.setattr(time_estimate, "LONGEST", 0.0)
    assert note(BASE).startswith("a few steps of training take more than 0 seconds here: the net")

    def stopped(options, images, stop):
        raise PassStopped(15)
        yield

    assert time_note(BASE, 60_000, 256, CPU, stopped) is None


def test_a_signal_ends_the_trial_of_a_slow_network_within_a_pass(few, tiny, tmp_path, monkeypatch):
    """A pass takes seconds; the signal comes in its first layer."""
    passed = []

    class Slow(nn.Module):
        def forward(self, x):
            passed.append(len(x))
            time.sleep(0.05)
            return x

    layers = [Slow() for _ in range(40)]
    network = nn.Sequential(nn.Flatten(), *layers, nn.Linear(784, 10))
    monkeypatch.setattr(time_estimate, "WORTH_SAYING", 0.0)
    monkeypatch.setattr(training_setup, "check_start", lambda model, *rest: model)
    began = []

    def stop():
        began.append(time.monotonic())
        return 15 if len(passed) > 2 else None

    with pytest.raises(TrainingStopped):
        fit(
            replace(tiny, method="r-at", pretrain=0),
            tmp_path / "run",
            data=few,
            model=network,
            stop=stop,
            show=True,
        )
    assert len(passed) < 40 + 40, "only the step that the signal ends, after the trial"


@pytest.mark.parametrize("method", ["sense", "r-at", "mma", "free"])
def test_the_trial_changes_no_bit_of_the_training(method, few, tiny, tmp_path, monkeypatch, capsys):
    config = replace(tiny, method=method, augment="shift", replays=2)
    fit(config, tmp_path / "silent", data=few)
    monkeypatch.setattr(time_estimate, "WORTH_SAYING", 0.0)
    fit(config, tmp_path / "shown", data=few, show=True)
    assert "note: training takes about 0 minutes here" in capsys.readouterr().err
    assert outcome(tmp_path / "shown") == outcome(tmp_path / "silent")


def test_a_network_that_cannot_be_copied_is_trained_without_the_sentence(
    few, tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(time_estimate, "WORTH_SAYING", 0.0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    network.lines = (line for line in "ab")
    fit(replace(tiny, method="nt"), tmp_path / "run", data=few, model=network, show=True)
    assert "training takes" not in capsys.readouterr().err


def test_a_run_that_is_resumed_says_its_time_after_an_epoch(
    few, tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(time_estimate, "WORTH_SAYING", 0.0)
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path / "run", data=few, stop=after(2))
    fit(tiny, tmp_path / "run", data=few, resume=True, show=True)
    assert "training takes" not in capsys.readouterr().err


def test_r_says_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(time_estimate, "WORTH_SAYING", 0.0)
    x = torch.rand(40, 8, 8).numpy()
    images = {"x": x, "y": [0, 1] * 20, "classes": ["a", "b"]}
    options = {"dataset": "arrays", "model": "linear", "epochs": 1, "pretrain": 0, "threads": 1}
    lines = []
    train_from_r(options, None, str(tmp_path / "run"), images, on_epoch=lines.append)
    (found,) = (line for line in lines if "training takes" in line)
    assert found.startswith("note: training takes about 0 minutes here")
    assert lines.index(found) < next(i for i, line in enumerate(lines) if "epoch" in line[:6])
