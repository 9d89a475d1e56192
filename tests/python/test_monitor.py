"""Accuracies in training are measured on held-out images, never on the test set."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from sense.checkpoint import load_weights
from sense.data import ImageData
from sense.errors import InputError
from sense.monitor import BestWeights, Monitor, training_part
from sense.runs import METRICS
from sense.train import TrainingStopped, fit
from test_resume import after, outcome

HELD = {"validation_size": 60}


def lines(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


class Seen(nn.Module):
    """Records the first pixel of each image of a forward pass."""

    def __init__(self):
        super().__init__()
        self.layer, self.marks = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), set()

    def forward(self, x):
        self.marks |= {round(mark, 4) for mark in x[:, 0, 0, 0].tolist()}
        return self.layer(x)


def marked():
    """Images that their first pixel identifies: training images below 0.5, test images above."""
    x = torch.rand(60, 1, 6, 6)
    x[:, 0, 0, 0] = torch.arange(60) / 200
    tests = torch.rand(20, 1, 6, 6)
    tests[:, 0, 0, 0] = 0.6 + torch.arange(20) / 200
    return ImageData("marked", x, torch.arange(60) % 3, tests, torch.arange(20) % 3, tuple("abc"))


@pytest.mark.parametrize("validation", [0, 12])
def test_no_test_image_is_used_in_training(tmp_path, tiny, validation):
    data, network = marked(), Seen()
    config = replace(tiny, method="nt", eps=0.01, step_size=0.01, validation_size=validation)
    fit(config, tmp_path / "run", data=data, model=network)
    tests = {round(mark, 4) for mark in data.test_x[:, 0, 0, 0].tolist()}
    assert not network.marks & tests
    assert {round(i / 200, 4) for i in range(60)} <= network.marks  # and every other does
    assert lines(tmp_path / "run")[0]["monitored_on"] == (
        "validation" if validation else "training"
    )


def test_held_out_images_are_monitored_and_not_trained_on(few, tiny):
    config = replace(tiny, validation_size=60, seed=3)
    kept, held = training_part(few, config)
    assert len(kept) == 240
    assert len(held) == 60
    assert not set(kept.tolist()) & set(held.tolist())
    monitor = Monitor.of(few, kept, held, config, torch.device("cpu"))
    assert torch.equal(monitor.y, few.train_y[held])
    assert torch.equal(monitor.x, few.train_x[held] / 255)
    assert len(training_part(few, replace(config, train_size=50))[0]) == 50
    assert torch.equal(training_part(few, replace(config, validation_size=0))[0], torch.arange(300))


def test_monitored_training_images_are_trained_on(few, tiny):
    config = replace(tiny, train_size=50, monitor_size=40)
    monitor = Monitor.of(few, *training_part(few, config), config, torch.device("cpu"))
    trained_on = [row.tobytes() for row in few.train_x[:50].numpy()]
    monitored = [row.tobytes() for row in (monitor.x * 255).round().byte().numpy()]
    assert len(monitored) == 40
    assert set(monitored) <= set(trained_on)
    assert monitor.kind == "training"
    every = Monitor.of(
        few, *training_part(few, config), replace(config, monitor_size=256), torch.device("cpu")
    )
    assert torch.equal(every.y, few.train_y[:50])


def test_sorted_images_give_the_accuracy_of_all_classes(tmp_path, sample, tiny):
    """A network that is trained on some classes knows only these."""
    order = sample.train_y[:2000].argsort(stable=True)
    data = ImageData(
        "sorted",
        sample.train_x[order],
        sample.train_y[order],
        sample.test_x[:10],
        sample.test_y[:10],
        sample.classes,
    )
    config = replace(
        tiny, method="nt", model="capacity-1", validation_size=400, pretrain=0, epochs=2, lr=0.05
    )
    model = fit(config, tmp_path / "run", data=data)
    x, y = sample.test_x.float() / 255, sample.test_y
    with torch.no_grad():
        true = float((model(x).argmax(1) == y).float().mean())
    last = lines(tmp_path / "run")[-1]
    assert last["monitored"] == 400
    assert abs(last["natural_correct"] / 400 - true) < 0.1


@pytest.mark.parametrize("method", ["nt", "sense"])
def test_the_best_epoch_is_kept_in_a_stopped_run_too(tmp_path, few, tiny, method):
    config = replace(tiny, method=method, keep="best", epochs=5, lr=0.3, **HELD)
    whole = fit(config, tmp_path / "whole", data=few)
    metrics = lines(tmp_path / "whole")
    count = "natural_correct" if method == "nt" else "robust_correct"
    own = [line for line in metrics if line["phase"] == "train"]
    best = max(
        own,
        key=lambda line: (
            line[count],
            line["natural_correct"],
            line["robust_correct"],
            line["epoch"],
        ),
    )
    assert metrics[-1]["kept_epoch"] == best["epoch"]
    short = replace(config, keep="last", epochs=best["epoch"] - config.pretrain)
    fit(short, tmp_path / "short", data=few)
    expected = load_weights(tmp_path / "short")
    for weights in (load_weights(tmp_path / "whole"), whole.state_dict()):
        assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "run", data=few, stop=after(13))
    fit(config, tmp_path / "run", data=few, resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def best_of(method, *counts):
    model, best = nn.Linear(2, 2), BestWeights()
    for epoch, (natural, robust) in enumerate(counts, 1):
        line = {"epoch": epoch, "natural_correct": natural, "robust_correct": robust}
        best.update(line, model, method)
    return best.epoch


def test_of_equal_epochs_the_last_is_kept():
    assert best_of("sense", (9, 4), (8, 5), (8, 5), (9, 3)) == 3
    assert best_of("nt", (9, 4), (8, 5)) == 1


def test_keep_best_needs_validation_images(tiny):
    with pytest.raises(
        InputError, match=r"keep best needs validation images.*--validation-size 1000"
    ):
        replace(tiny, keep="best")


def test_a_run_is_not_resumed_with_other_validation_images(tmp_path, few, tiny):
    with pytest.raises(TrainingStopped):
        fit(replace(tiny, **HELD), tmp_path / "run", data=few, stop=after(2))
    for change in ({"validation_size": 30}, {"validation_size": 0}, {"keep": "best"}):
        with pytest.raises(InputError, match="started with other options"):
            fit(replace(tiny, **(HELD | change)), tmp_path / "run", data=few, resume=True)


def test_data_without_test_images_can_be_trained_on_but_not_evaluated(tmp_path, few, tiny):
    from sense.evaluation.stored_evaluation import evaluate_run

    data = ImageData(
        "untested", few.train_x, few.train_y, few.test_x[:0], few.test_y[:0], few.classes
    )
    fit(replace(tiny, method="nt", **HELD), tmp_path / "run", data=data)
    with pytest.raises(InputError, match="no test images to evaluate on"):
        evaluate_run(tmp_path / "run", data=data)
