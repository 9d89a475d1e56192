"""Training in a given time: the number of epochs, and what happens if it was planned wrong."""

import json
import time
from dataclasses import replace

import pytest

from sense import time_budget
from sense.config import RECIPES, recipe
from sense.errors import InputError
from sense.runs import METRICS, read_run
from sense.time_budget import EpochTimes, fit_into, mean_step, until, with_epochs
from sense.train import TimeOverWarning, TrainingStopped, fit
from test_resume import after, outcome

STEP = replace(
    recipe("cifar10-resnet"), method="r-at", minutes=1.0, pretrain=4, warmup=None, milestones=(0.5,)
)

MEASURED = "sense.trial_steps.measured_times"


@pytest.mark.parametrize("name", RECIPES)
def test_parts_of_a_training_keep_their_shares(name):
    config = replace(
        RECIPES[name], awp=0.0 if RECIPES[name].method == "free" else 0.01, awp_warmup=3
    )
    twice = with_epochs(config, 2 * config.epochs)
    assert (twice.epochs, twice.pretrain) == (2 * config.epochs, 2 * config.pretrain)
    assert twice.milestone_epochs == tuple(2 * m for m in config.milestone_epochs)
    assert twice.awp_warmup == 6
    assert twice.eps_ramp == 2 * config.eps_ramp
    assert (twice.resolved().warmup or 0) == 2 * (config.resolved().warmup or 0)
    assert with_epochs(config, config.epochs).resolved() == config.resolved()
    one = with_epochs(config, 1)
    assert (one.epochs, one.pretrain) == (1, min(1, config.pretrain))
    assert all(milestone == 1 for milestone in one.milestone_epochs)


@pytest.mark.parametrize("seconds", [30.0, 61.0, 240.0, 5000.0])
def test_the_most_epochs_that_fit_are_taken(seconds):
    times = EpochTimes(natural=2.0, method=10.0, monitor=1.0)
    found = fit_into(STEP, seconds, times)
    assert times.total(found) <= seconds < times.total(with_epochs(STEP, found.epochs + 1))
    assert times.total(found) == found.pretrain * 3.0 + found.epochs * 11.0


def test_a_time_for_less_than_an_epoch_is_refused_with_the_shortest_time():
    with pytest.raises(InputError, match=r"at least about 1\.1, .* got 1"):
        fit_into(STEP, 13.9, EpochTimes(natural=2.0, method=10.0, monitor=1.0))


def test_the_first_steps_are_not_counted():
    steps = iter([9.0, 9.0, 9.0, 9.0, *[1.0] * 100])
    assert mean_step(steps, 1000.0) == 1.0
    assert len(list(steps)) == 104 - time_budget.TRIAL_STEPS
    assert mean_step(iter([60.0, 30.0, 5.0]), 10.0) == 30.0  # two steps at least


def test_the_time_is_a_reason_to_stop():
    assert until(lambda: None, None)() is None
    assert until(lambda: None, time.monotonic() + 60)() is None
    assert until(lambda: None, time.monotonic())() == time_budget.TIME_OVER
    assert until(lambda: 15, time.monotonic())() == 15


def ignored(note):
    """That the time is over."""


def lines(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


@pytest.mark.parametrize("method", ["r-at", "sense"])
def test_a_training_ends_in_time_and_is_that_of_its_number_of_epochs(tmp_path, few, tiny, method):
    config = replace(tiny, method=method, schedule="cosine", minutes=0.15)
    began = time.monotonic()
    fit(config, tmp_path / "timed", data=few, on_note=ignored)
    seconds = time.monotonic() - began
    planned = read_run(tmp_path / "timed")[0]
    assert seconds < 60 * config.minutes + 3.0
    assert planned.minutes == config.minutes
    done = lines(tmp_path / "timed")
    for _ in range(9):  # if the machine became slower in the meantime
        if len(done) < planned.pretrain + planned.epochs:
            fit(planned, tmp_path / "timed", data=few, resume=True, on_note=ignored)
            done = lines(tmp_path / "timed")
    assert len(done) == planned.pretrain + planned.epochs > 2
    fit(replace(planned, minutes=None), tmp_path / "counted", data=few)
    assert outcome(tmp_path / "timed") == outcome(tmp_path / "counted")


def test_a_training_whose_time_is_over_is_saved_and_resumed(tmp_path, few, tiny, capsys):
    """As if the machine had become much slower than in the trial."""
    config = replace(tiny, method="r-at", minutes=0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MEASURED, lambda *args: EpochTimes(1e-6, 1e-5, 0.0))
        model = fit(config, tmp_path / "run", data=few, show=True)
    assert not model.training
    planned = read_run(tmp_path / "run")[0]
    assert planned.epochs > 1000
    assert 0 <= len(lines(tmp_path / "run")) < planned.epochs
    message = capsys.readouterr().err
    assert "the time is over after" in message
    assert f"of {planned.pretrain + planned.epochs} epochs; resume with --resume" in message
    steps = len(lines(tmp_path / "run"))
    with pytest.warns(TimeOverWarning, match="the time is over after .*--resume"):
        fit(planned, tmp_path / "run", data=few, resume=True)  # its time again
    assert len(lines(tmp_path / "run")) > steps
    notes = []
    fit(planned, tmp_path / "run", data=few, resume=True, on_note=notes.append)
    assert len(notes) == 1
    assert notes[0].startswith("the time is over after ")


def test_a_timed_run_in_pieces_equals_an_uninterrupted_one(tmp_path, few, tiny):
    config = replace(tiny, method="sense", minutes=0.2, epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MEASURED, lambda *args: EpochTimes(1.0, 3.0, 0.0))
        with pytest.raises(TrainingStopped):
            fit(config, tmp_path / "pieces", data=few, stop=after(5))
    planned = read_run(tmp_path / "pieces")[0]
    assert (planned.pretrain, planned.epochs) == (2, 3)  # 2 x 1 + 3 x 3 of 12 seconds
    fit(planned, tmp_path / "pieces", data=few, resume=True)
    fit(replace(planned, minutes=None), tmp_path / "whole", data=few)
    assert outcome(tmp_path / "pieces") == outcome(tmp_path / "whole")
