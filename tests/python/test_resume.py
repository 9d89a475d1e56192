"""A run that was stopped, killed or damaged is resumed to the same result."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from kills import killed_at_each_change
from sense.checkpoint import CHECKPOINT, WEIGHTS, load_checkpoint, load_weights, save_checkpoint
from sense.data import ImageData
from sense.errors import InputError
from sense.run_folder import RunFolder
from sense.runs import METRICS, read_run
from sense.train import TrainingStopped, fit

CLOCKS = {"seconds", "images_per_second"}


def outcome(folder):
    """What two equal runs share: weights as bytes, and metrics without times."""
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return (folder / WEIGHTS).read_bytes(), [
        {key: value for key, value in line.items() if key not in CLOCKS} for line in lines
    ]


def same_weights(one, other):
    """Whether two runs have the same weights."""
    one, other = load_weights(one), load_weights(other)
    return all(torch.equal(one[name], other[name]) for name in one)


def after(steps):
    """A `stop` that stops after this number of steps."""
    calls = count(1)
    return lambda: 2 if next(calls) >= steps else None


def fit_in_pieces(config, folder, data, steps):
    """Stop after these numbers of steps, each time resumed; the last piece runs to the end."""
    for piece, length in enumerate(steps):
        with pytest.raises(TrainingStopped):
            fit(config, folder, data=data, resume=piece > 0, stop=after(length))
        torch.rand(9)  # a new process has another random state
    fit(config, folder, data=data, resume=True)


RUNS = {
    "nt": {"method": "nt"},
    "r-at": {"method": "r-at"},
    "sense": {"method": "sense", "warmup": 1},
    "sense, random start": {"method": "sense", "random_start": True},
    "adam, one-cycle": {"method": "nt", "optimizer": "adam", "lr": 0.003, "schedule": "one-cycle"},
    "mma": {"method": "mma", "steps": 2},
    "iaat": {"method": "iaat", "steps": 2, "warmup": 1},
    "fgsm-rs": {"method": "fgsm-rs"},
    "n-fgsm": {"method": "n-fgsm", "norm": "2", "eps": 1.5},
    "free": {"method": "free", "replays": 3, "epochs": 4},
    "free, ramp": {"method": "free", "replays": 2, "norm": "2", "eps": 1.5, "eps_ramp": 2.0},
    "crops": {"method": "trades", "augment": "reflect", "steps": 2},
    "noise": {"method": "sense", "boundary": "noise"},
    "ema": {"method": "sense", "ema": 0.9},
    "awp": {"method": "r-at", "awp": 0.02, "awp_warmup": 1},
    "ema, awp, label smoothing, best epoch": {
        "method": "mma",
        "steps": 2,
        "ema": 0.99,
        "awp": 0.02,
        "label_smoothing": 0.1,
        "validation_size": 40,
        "keep": "best",
    },
    "dropout": {"method": "nt", "model": "small-cnn", "pretrain": 0, "epochs": 1},
}


@pytest.mark.parametrize("change", RUNS.values(), ids=RUNS)
def test_a_run_in_pieces_equals_an_uninterrupted_one(tmp_path, few, tiny, change):
    config = replace(tiny, **change)
    fit(config, tmp_path / "whole", data=few)
    pieces = [1, 3] if config.model == "small-cnn" else [1, 4, 2, 6]
    fit_in_pieces(config, tmp_path / "pieces", few, pieces)
    assert outcome(tmp_path / "pieces") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("method", ["sense", "iaat"])
def test_a_run_with_defaults_stored_as_null_is_resumed(tmp_path, few, tiny, method):
    config = replace(tiny, method=method, epochs=1, steps=2)
    fit(config, tmp_path / "whole", data=few)
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "old", data=few, stop=after(4))
    with RunFolder(tmp_path / "old") as run:
        run.lock()
        description = json.loads(run.read("config.json"))
        assert description["config"] != config.to_plain()
        description["config"] = config.to_plain()
        run.write({"config.json": json.dumps(description)})
    fit(config, tmp_path / "old", data=few, resume=True)
    assert outcome(tmp_path / "old") == outcome(tmp_path / "whole")
    assert json.loads((tmp_path / "old" / "config.json").read_text()) == description


@pytest.mark.parametrize("step", [1, 5, 6, 7, 12, 17])
def test_a_run_can_be_stopped_after_any_step(tmp_path, few, tiny, step):
    config = replace(tiny, random_start=True)
    fit(config, tmp_path / "whole", data=few)
    fit_in_pieces(config, tmp_path / "pieces", few, [step])
    assert outcome(tmp_path / "pieces") == outcome(tmp_path / "whole")


def test_a_stop_after_the_last_step_is_ignored(tmp_path, few, tiny):
    fit(tiny, tmp_path, data=few, stop=after(18 + 2))  # `stop` is called after each epoch too
    assert len(outcome(tmp_path)[1]) == 3


def test_a_run_killed_at_any_write_is_resumed_bit_for_bit(tmp_path, few, tiny, monkeypatch):
    """From before there is a folder to after the last file; the second epoch begins with a
    checkpoint and one before it."""
    data = replace(few, train_x=few.train_x[:100], train_y=few.train_y[:100])
    config = replace(tiny, model="capacity-1", method="nt", pretrain=0, epochs=2, monitor_size=2)
    fit(config, tmp_path / "whole", data=data)

    def run(folder):
        fit(config, folder, data=data)

    begun = 0
    for folder in killed_at_each_change(monkeypatch, tmp_path, None, run):
        resume = (folder / "config.json").exists()
        fit(config, folder, data=data, resume=resume)
        assert outcome(folder) == outcome(tmp_path / "whole")
        assert load_weights(folder)
        assert not list(folder.glob(".*"))
        begun += resume
    assert begun > 20


def test_after_a_damaged_checkpoint_the_previous_one_is_used(tmp_path, few, tiny):
    fit(tiny, tmp_path / "whole", data=few)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, tmp_path / "damaged", data=few, on_epoch=interrupt_after(2))
    (tmp_path / "damaged" / CHECKPOINT).write_bytes(b"")
    with pytest.warns(UserWarning, match="resuming from checkpoint-previous.pt"):
        fit(tiny, tmp_path / "damaged", data=few, resume=True)
    assert outcome(tmp_path / "damaged") == outcome(tmp_path / "whole")


def interrupt_after(epochs):
    def on_epoch(line):
        if line["epoch"] == epochs:
            raise KeyboardInterrupt

    return on_epoch


def test_a_finished_run_may_be_resumed(tmp_path, few, tiny):
    fit(tiny, tmp_path, data=few)
    before = outcome(tmp_path)
    fit(tiny, tmp_path, data=few, resume=True)
    assert outcome(tmp_path) == before


def test_a_run_is_not_resumed_with_other_data(tmp_path, few, tiny, sample):
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path, data=few, stop=lambda: 2)
    with pytest.raises(ValueError, match=f"made with other data: SHA-256 {few.sha256}"):
        fit(tiny, tmp_path, data=sample, resume=True)


def test_a_run_is_not_resumed_with_other_options(tmp_path, few, tiny):
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path, data=few, stop=lambda: 2)
    with pytest.raises(ValueError, match=r"started with other options: c \(0.15, not 0.9\)"):
        fit(replace(tiny, c=0.9), tmp_path, data=few, resume=True)


def test_a_folder_without_a_run_is_not_resumed(tmp_path, few, tiny):
    with pytest.raises(FileNotFoundError, match=r"no config.json in .*: pass the folder of a run"):
        fit(tiny, tmp_path, data=few, resume=True)


def in_another_layout(data):
    """The same images, channels last or transposed in memory."""

    def moved(x):
        return x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)

    return replace_data(data, train_x=moved(data.train_x), test_x=moved(data.test_x))


def replace_data(data, **change):
    own = {
        key: getattr(data, key)
        for key in ("name", "train_x", "train_y", "test_x", "test_y", "classes")
    }
    return ImageData(**(own | change))


@pytest.mark.parametrize("method", ["sense", "r-at", "trades", "mart", "mma", "iaat"])
@pytest.mark.parametrize("norm", ["inf", "2"])
def test_images_in_another_layout_train_and_resume_to_the_same_bits(
    tmp_path, few, tiny, method, norm
):
    other = in_another_layout(few)
    assert other.sha256 == few.sha256
    config = replace(tiny, method=method, norm=norm, steps=2, epochs=1, random_start=True)
    fit(config, tmp_path / "one", data=few)
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "two", data=other, stop=after(4))
    fit(config, tmp_path / "two", data=few, resume=True)
    assert outcome(tmp_path / "one") == outcome(tmp_path / "two")


def no_epoch(state):
    state["progress"]["epoch"] = -1


def more_metrics(state):
    state["progress"]["metrics"].append({})


def nan_metrics(state):
    state["progress"]["metrics"][0]["loss"] = float("nan")


def other_shape(state):
    name = next(iter(state["model"]))
    state["model"][name] = state["model"][name][:1]


def text_for_a_tensor(state):
    state["model"][next(iter(state["model"]))] = "weights"


def other_momentum(state):
    state["optimizer"]["state"][0]["momentum_buffer"] = torch.zeros(2)


def other_weight_decay(state):
    state["optimizer"]["param_groups"][0]["weight_decay"] = 0.5


def other_random_state(state):
    state["random"] = torch.zeros(3, dtype=torch.uint8)


def without(name):
    def without(state):
        del state[name]

    return without


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_epoch, "its progress has impossible numbers"),
        (more_metrics, "its progress has impossible numbers"),
        (nan_metrics, "not JSON compliant"),
        (other_shape, r"of its model must be torch.float32 of shape"),
        (text_for_a_tensor, "of its model is not a tensor"),
        (other_momentum, "momentum_buffer of its optimizer does not fit"),
        (other_weight_decay, "its optimizer has other options"),
        (other_random_state, "RNG state"),
        *[
            (without(name), f"it has no '{name}'")
            for name in ("model", "optimizer", "progress", "random")
        ],
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_checkpoint_with_other_content_is_refused(tmp_path, few, tiny, change, message):
    """Its checksum is correct: somebody wrote it."""
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path, data=few, stop=after(7))
    state = load_checkpoint(tmp_path)
    change(state)
    save_checkpoint(tmp_path, state)
    with pytest.raises(InputError, match=message) as caught:
        fit(tiny, tmp_path, data=few, resume=True)
    assert f"the checkpoint in {tmp_path} is not one of this run" in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"schedule": "constant"}, {"schedule": "step", "milestones": (1, 2)}]
)
def test_an_extended_run_equals_one_with_all_epochs(tmp_path, few, tiny, change):
    config = replace(tiny, method="mma", steps=2, epochs=3, **change)
    fit(config, tmp_path / "whole", data=few)
    fit(replace(config, epochs=1), tmp_path / "run", data=few)
    fit(config, tmp_path / "run", data=few, resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    description = json.loads((tmp_path / "run" / "config.json").read_text())
    assert description["config"]["epochs"] == 3
    (note,) = description["resumed"]
    assert note["options"] == {"epochs": {"before": 1, "now": 3}}
    assert note["provenance"]["time"]


def test_fractions_of_the_epochs_are_fixed_when_a_run_begins(tmp_path, few, tiny):
    config = replace(tiny, method="nt", schedule="step", milestones=(0.5,), lr_decay=0.1)
    fit(config, tmp_path / "run", data=few)
    begun, _ = read_run(tmp_path / "run")
    assert begun.milestones == (1,)
    fit(config, tmp_path / "run", data=few, resume=True)
    fit(replace(begun, epochs=4), tmp_path / "run", data=few, resume=True)
    lines = (tmp_path / "run" / METRICS).read_text().splitlines()
    assert [json.loads(line)["lr"] for line in lines] == pytest.approx([0.2] * 2 + [0.02] * 3)
    fit(replace(config, epochs=5), tmp_path / "run", data=few, resume=True)
    extended, _ = read_run(tmp_path / "run")
    assert (extended.epochs, extended.milestones) == (5, (1,))
    assert json.loads((tmp_path / "run" / METRICS).read_text().splitlines()[-1])["lr"] < 0.021
    with pytest.raises(InputError, match=r"other options: milestones \(\[1.*\], not \[4\]\)"):
        fit(replace(config, epochs=5, milestones=(0.75,)), tmp_path / "run", data=few, resume=True)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_a_run_with_a_schedule_over_all_epochs_is_extended_at_a_constant_rate(
    tmp_path, few, tiny, schedule
):
    config, run = replace(tiny, method="nt", epochs=1, schedule=schedule), tmp_path / "run"
    fit(config, run, data=few)
    longer = replace(config, epochs=2)
    with pytest.raises(InputError, match=r"falls to 0 .*--schedule constant --lr 0\.02;"):
        fit(longer, run, data=few, resume=True)
    fit(replace(longer, schedule="constant", lr=0.02), run, data=few, resume=True)
    rates = [json.loads(line)["lr"] for line in (run / METRICS).read_text().splitlines()]
    assert rates[-1] == 0.02
    assert len(rates) == 3
    fit(replace(longer, schedule="constant", lr=0.02), run, data=few, resume=True)


RUNTIME_OPTIONS = {"data_dir", "device", "threads", "cuda_graphs"}
OTHER = {
    "data_dir": Path("elsewhere"),
    "device": "auto",
    "threads": 2,
    "method": "nt",
    "c": 0.9,
    "eps": 0.1,
    "seed": 7,
    "lr": 0.1,
    "batch_size": 60,
    "norm": "2",
    "model": "capacity-1",
    "epochs": 1,
    "pretrain": 2,
    "optimizer": "adam",
    "train_size": 100,
    "boundary": "bisect",
    "l2_form": "published",
    "precision": "bfloat16",
    "schedule": "cosine",
}


@pytest.mark.parametrize("option", OTHER)
def test_only_runtime_options_may_change_when_a_run_is_resumed(tmp_path, few, tiny, option):
    run, now = tmp_path / "run", replace(tiny, **{option: OTHER[option]})
    with pytest.raises(TrainingStopped):
        fit(tiny, run, data=few, stop=after(2))
    if option in RUNTIME_OPTIONS:
        with pytest.raises(TrainingStopped):
            fit(now, run, data=few, resume=True, stop=after(2))
        description = json.loads((run / "config.json").read_text())
        assert description["config"][option] == now.to_plain()[option]
        assert description["resumed"][0]["options"].keys() == {option}
        return
    with pytest.raises(InputError, match=f"--{option} can only be|other options: {option} "):
        fit(now, run, data=few, resume=True)
    assert "resumed" not in json.loads((run / "config.json").read_text())
