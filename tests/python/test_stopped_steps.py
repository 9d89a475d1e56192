"""A slow step of training may be stopped at any pass. Resumed, the run is the same bit for bit."""

import copy
from dataclasses import replace
from itertools import count

import pytest
import torch

from sense import stopping
from sense.checkpoint import CHECKPOINT, PREVIOUS, load_checkpoint, save_checkpoint
from sense.data import ImageData
from sense.stopping import StoppingPoint
from sense.time_budget import TIME_OVER
from sense.train import TimeOverWarning, TrainingStopped, fit
from test_resume import outcome

RUNS = {
    "nt": {},
    "r-at": {"natural_weight": 0.5},
    "sense": {"boundary": "bisect", "random_start": True},
    "sense-trades": {"boundary": "noise"},
    "trades": {},
    "mart": {},
    "mma": {"ema": 0.9},
    "iaat": {"warmup": 0},
    "fgsm-rs": {},
    "n-fgsm": {"validation_size": 8, "keep": "best"},
    "free": {"replays": 2, "ema": 0.9},
    "r-at, awp": {"awp": 0.02, "ema": 0.9},
    "nt, two epochs, crops": {"epochs": 2, "augment": "shift"},
}


@pytest.fixture
def images(sample):
    """Two batches of 12; or, with 8 validation images, 12 and 4."""
    return ImageData(
        name="images",
        classes=sample.classes,
        train_x=sample.train_x[:24, :, 8:20, 8:20],
        train_y=sample.train_y[:24],
        test_x=sample.test_x[:4, :, 8:20, 8:20],
        test_y=sample.test_y[:4],
    )


@pytest.fixture
def options(tiny):
    return replace(tiny, pretrain=0, epochs=1, batch_size=12, steps=1, monitor_size=8, c=0.15)


class Network(torch.nn.Module):
    """All that a pass changes is in it: batch norm, and dropout, which draws."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.norm, self.linear = torch.nn.BatchNorm1d(144), torch.nn.Linear(144, 10)

    def forward(self, x):
        x = torch.nn.functional.dropout(self.norm(x.flatten(1)), 0.2, self.training)
        return self.linear(x)


@pytest.fixture
def all_passes_are_slow(monkeypatch):
    """Every step may be interrupted, at once, and at every layer."""
    monkeypatch.setattr(stopping, "SLOW", -1.0)
    monkeypatch.setattr(stopping, "SLOW_STEP", -1.0)
    monkeypatch.setattr(stopping, "PATIENCE", -1e9)


def train(config, folder, data, stop=lambda: None):
    """Begin the run, or resume it; whether it was stopped."""
    torch.manual_seed(5)  # the numbers of a new process
    resume = (folder / "config.json").exists()
    try:
        fit(config, folder, data=data, model=Network(), resume=resume, stop=stop)
    except TrainingStopped:
        return True
    return False


def stop_at(check, reason=15):
    """A signal that comes before this check."""
    calls = count(1)
    return lambda: reason if next(calls) >= check else None


def moment(folder):
    """How many steps the checkpoint has."""
    progress = load_checkpoint(folder)["progress"]
    return progress["epoch"], progress["step"]


@pytest.mark.usefixtures("all_passes_are_slow")
@pytest.mark.parametrize("change", RUNS.values(), ids=RUNS)
def test_a_training_stopped_at_every_pass_equals_an_uninterrupted_one(
    tmp_path, images, options, change, request
):
    """The run is stopped at the first check of a step, resumed, stopped at the second, and so on
    until the step is complete; then the next step. The accuracies of an epoch come after its last
    step."""
    method = request.node.callspec.id.split(",")[0]
    config = replace(options, method=method, **change)
    assert not train(config, tmp_path / "whole", images)
    pieces, before, check = 0, (0, 0), 1
    while train(config, tmp_path / "pieces", images, stop_at(check)):
        after = moment(tmp_path / "pieces")
        assert after >= before
        check = check + 1 if after == before else 1
        before, pieces = after, pieces + 1
    assert pieces > 20
    assert outcome(tmp_path / "pieces") == outcome(tmp_path / "whole")


@pytest.mark.usefixtures("all_passes_are_slow")
@pytest.mark.parametrize("check", [3, 7, 12])
def test_a_training_whose_time_is_over_in_a_pass_is_resumed_to_the_same_result(
    tmp_path, images, options, check
):
    config = replace(options, method="r-at")
    train(config, tmp_path / "whole", images)
    with pytest.warns(TimeOverWarning):
        assert not train(config, tmp_path / "run", images, stop_at(check, TIME_OVER))
    assert moment(tmp_path / "run") < (0, 2)
    train(config, tmp_path / "run", images)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


@pytest.mark.usefixtures("all_passes_are_slow")
def test_a_step_with_several_updates_is_stopped_between_them_too(tmp_path, images, options):
    """A step of free with 4 replays has 4 updates, and 6 checks before each."""
    config = replace(options, method="free", replays=4, batch_size=6)
    train(config, tmp_path / "whole", images)
    checked = {}
    for check in (6, 7, 13, 24):
        train(config, tmp_path / str(check), images, stop_at(check))
        checked[check] = moment(tmp_path / str(check))
        train(config, tmp_path / str(check), images)
        assert outcome(tmp_path / str(check)) == outcome(tmp_path / "whole")
    assert set(checked.values()) == {(0, 0)}


def whole_state(training):
    return copy.deepcopy(training.state_dict())


@pytest.mark.usefixtures("all_passes_are_slow")
def test_all_that_a_checkpoint_holds_is_restored(tmp_path, images, options, monkeypatch):
    """Also what a later version adds to it."""
    config = replace(options, method="mma", ema=0.9, awp=0.02, validation_size=8, keep="best")
    states = []

    class Noted(StoppingPoint):
        def set(self):
            super().set()
            states[:] = [whole_state(self.state)]

        def restore(self):
            super().restore()
            states.append(whole_state(self.state))

    monkeypatch.setattr("sense.train.StoppingPoint", Noted)
    for check in (5, 20, 31):
        assert train(config, tmp_path / str(check), images, stop_at(check))
        before, restored = states
        torch.testing.assert_close(restored, before, rtol=0, atol=0)


def count_twice(state):
    """As earlier versions did with a step that was interrupted in its backward pass."""
    progress = state["progress"]
    progress["images"] += 12
    progress["loss"] += 30.0
    progress["stages"] = [n + 4 for n in progress["stages"] or [0, 0, 0]]


def stopped_after(steps, config, folder, data):
    assert train(config, folder, data, stop_at(steps))
    return load_checkpoint(folder)


@pytest.fixture
def stopped_twice(tmp_path, images, options):
    """A run of sense with checkpoints after one and after two steps, and one without a stop."""
    config = replace(options, method="sense", batch_size=8)
    train(config, tmp_path / "whole", images)
    stopped_after(1, config, tmp_path / "run", images)
    stopped_after(1, config, tmp_path / "run", images)
    assert moment(tmp_path / "run") == (0, 2)
    return config, tmp_path / "run", tmp_path / "whole"


def test_a_checkpoint_that_counts_an_interrupted_step_is_not_used(stopped_twice, images):
    config, run, whole = stopped_twice
    replace_checkpoint(run / CHECKPOINT, count_twice)
    with pytest.warns(UserWarning, match=rf"12 images of epoch 1 .*resuming from {PREVIOUS}"):
        train(config, run, images)
    assert outcome(run) == outcome(whole)


def test_if_both_checkpoints_count_an_interrupted_step_the_weights_are_the_same(
    stopped_twice, images
):
    config, run, whole = stopped_twice
    for name in (PREVIOUS, CHECKPOINT):
        replace_checkpoint(run / name, count_twice)
    with pytest.warns(UserWarning, match=f"counted twice.*: resuming from {CHECKPOINT}"):
        train(config, run, images)
    assert outcome(run)[0] == outcome(whole)[0]


def test_a_checkpoint_that_counts_an_interrupted_first_step_is_resumed(tmp_path, images, options):
    """Its sums are not used: without a step they are 0."""
    config = replace(options, method="sense", epochs=2)
    train(config, tmp_path / "whole", images)
    stopped_after(3, config, tmp_path / "run", images)
    assert moment(tmp_path / "run") == (1, 0)
    replace_checkpoint(tmp_path / "run" / CHECKPOINT, count_twice)
    train(config, tmp_path / "run", images)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def replace_checkpoint(path, change):
    """Write another content, with a checksum that is correct."""
    folder = path.parent / "changed"
    folder.mkdir()
    path.rename(folder / CHECKPOINT)
    state = load_checkpoint(folder)
    change(state)
    save_checkpoint(folder, state)
    (folder / CHECKPOINT).rename(path)
    (folder / PREVIOUS).unlink()
    folder.rmdir()
