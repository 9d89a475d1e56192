import json
import math
from dataclasses import replace

import pytest
import torch

from fake_method import FakeMethod
from sense import train, training_setup
from sense.checkpoint import CHECKPOINT, PREVIOUS, WEIGHTS, load_checkpoint
from sense.checkpoint import load_weights as weights
from sense.config import Config
from sense.errors import NotFiniteError
from sense.manifest import MANIFEST
from sense.model_card import CARD
from sense.models import build_model
from sense.optimizers import build_optimizer
from sense.runs import CONFIG, METRICS, load, read_run
from sense.train import TrainingStopped, fit
from sense.training import batches
from test_progress import NotReady


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def lines(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


@pytest.mark.parametrize(
    ("change", "natural", "robust"),
    [
        ({"method": "nt", "pretrain": 0}, 0.85, 0.0),
        ({"method": "sense"}, 0.8, 0.5),
        ({"method": "r-at", "optimizer": "adam", "lr": 0.003}, 0.6, 0.4),
    ],
    ids=["nt", "sense", "r-at"],
)
def test_learns_the_sample(tmp_path, sample, change, natural, robust):
    """An epoch or two of a small network; chance is 0.1. The limits are far below the results."""
    config = Config(
        model="capacity-2",
        epochs=1,
        lr=0.05,
        eps=0.1,
        step_size=0.05,
        steps=3,
        c=0.5,
        monitor_size=1000,
        threads=1,
    )
    fit(replace(config, **change), tmp_path, data=sample)
    last = lines(tmp_path)[-1]
    assert last["natural_correct"] / last["monitored"] > natural
    assert last["robust_correct"] / last["monitored"] > robust


@pytest.mark.parametrize("random_start", [False, True])
def test_same_seed_same_weights(tmp_path, few, tiny, random_start):
    config = replace(tiny, random_start=random_start, epochs=1)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(3)  # earlier draws do not matter
        fit(replace(config, seed=seed), tmp_path / name, data=few)
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not equal(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_the_monitor_does_not_change_training(tmp_path, few, tiny):
    config = replace(tiny, random_start=True, epochs=1)
    for n in (16, 64):
        fit(replace(config, monitor_size=n), tmp_path / str(n), data=few)
    assert equal(weights(tmp_path / "16"), weights(tmp_path / "64"))
    assert lines(tmp_path / "64")[0]["monitored"] == 64


def test_a_run_has_its_files_and_metrics(tmp_path, few, tiny):
    received = []
    model = fit(tiny, tmp_path, data=few, on_epoch=received.append)
    assert {path.name for path in tmp_path.iterdir()} == {
        CONFIG,
        METRICS,
        CHECKPOINT,
        PREVIOUS,
        WEIGHTS,
        MANIFEST,
        CARD,
    }
    assert lines(tmp_path) == received
    assert [line["epoch"] for line in received] == [1, 2, 3]
    assert [line["phase"] for line in received] == ["pretrain", "train", "train"]
    assert "stage_a" not in received[0]
    for line in received[1:]:
        stages = [line["stage_a"], line["stage_b"], line["stage_c"]]
        assert min(stages) > 0  # or `tiny` would test little of sense here and elsewhere
        assert sum(stages) == len(few.train_x)
        assert 0 <= line["robust_correct"] <= line["natural_correct"] <= line["monitored"] == 32
        assert math.isfinite(line["loss"])
    assert read_run(tmp_path)[0] == tiny.resolved()
    assert not model.training
    assert equal(model.state_dict(), weights(tmp_path))
    x = few.test_x[:5].float() / 255
    torch.testing.assert_close(load(tmp_path)(x), model(x))


def test_the_loss_is_the_mean_over_images(tmp_path, few, tiny, monkeypatch):
    """300 images in batches of 80: the last has 60, which a mean over batches would forget."""
    constant = iter([1.0, 2.0, 3.0, 4.0])

    def loss(model, batch):
        return 0 * model(batch.x).sum() + next(constant)

    monkeypatch.setattr(training_setup, "build_method", lambda *arguments: FakeMethod(loss))
    fit(replace(tiny, pretrain=0, epochs=1, batch_size=80), tmp_path, data=few)
    assert lines(tmp_path)[0]["loss"] == pytest.approx((80 * 6 + 60 * 4) / 300)


def test_a_run_is_not_overwritten(tmp_path, few, tiny):
    fit(replace(tiny, pretrain=0, epochs=1), tmp_path, data=few)
    before = weights(tmp_path)
    with pytest.raises(FileExistsError, match="holds a run already"):
        fit(tiny, tmp_path, data=few)
    assert equal(weights(tmp_path), before)


def test_a_loss_that_is_not_a_number_stops_before_the_update(tmp_path, few, tiny, monkeypatch):
    models = []

    def build(*arguments):
        models.append(build_model(*arguments))
        return models[-1]

    def loss(model, batch):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return model(batch.x).square().mean() * (math.nan if len(seen) == 3 else 1)

    seen = []
    monkeypatch.setattr(training_setup, "build_model", build)
    monkeypatch.setattr(training_setup, "build_method", lambda *arguments: FakeMethod(loss))
    with pytest.raises(FloatingPointError, match=r"loss became nan after 0.33 epochs, .*--lr"):
        fit(replace(tiny, pretrain=0), tmp_path, data=few)
    assert not equal(seen[1], seen[2])
    assert equal(models[0].state_dict(), seen[2])


def test_after_a_failed_epoch_the_last_checkpoint_is_intact(tmp_path, few, tiny, monkeypatch):
    monkeypatch.setattr(train, "learning_rate", lambda config, at: 1e30 if at >= 1 else 0.1)
    with pytest.raises(FloatingPointError, match="lower --lr"):
        fit(tiny, tmp_path, data=few)
    assert load_checkpoint(tmp_path)["progress"]["epoch"] == 1
    assert all(value.isfinite().all() for value in weights(tmp_path).values())
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize("n", [50, 51, 99, 100, 101, 149])
def test_batches_take_each_image_once_and_have_two_images_at_least(tiny, n):
    order = batches(tiny, n, epoch=3)
    assert sorted(torch.cat(order).tolist()) == list(range(n))
    assert all(len(index) > 1 for index in order)
    assert all(len(index) == tiny.batch_size for index in order[:-1])


def test_batches_depend_on_epoch_and_seed_only(tiny):
    first = torch.cat(batches(tiny, 200, 0))
    torch.rand(7)
    assert torch.equal(first, torch.cat(batches(tiny, 200, 0)))
    assert not torch.equal(first, torch.cat(batches(tiny, 200, 1)))
    assert not torch.equal(first, torch.cat(batches(replace(tiny, seed=2), 200, 0)))


def test_optimizers_have_their_options(tiny):
    model = build_model("capacity-1", (1, 28, 28), 10)
    sgd = build_optimizer(replace(tiny, momentum=0.5, weight_decay=0.1), model)
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.5, 0.1)
    assert not sgd.defaults["nesterov"]
    assert build_optimizer(replace(tiny, nesterov=True), model).defaults["nesterov"]
    adam = build_optimizer(replace(tiny, optimizer="adam", weight_decay=0.1), model)
    assert isinstance(adam, torch.optim.Adam)
    assert (adam.defaults["lr"], adam.defaults["weight_decay"]) == (0.2, 0.1)


def test_the_schedule_reaches_the_optimizer(tmp_path, few, tiny):
    fit(replace(tiny, schedule="step", milestones=(1,), lr_decay=0.1), tmp_path, data=few)
    assert [line["lr"] for line in lines(tmp_path)] == pytest.approx([0.2, 0.2, 0.02])


def test_a_stop_says_how_to_resume(tmp_path, few, tiny):
    with pytest.raises(
        TrainingStopped, match=f"stopped; resume with --resume {tmp_path}"
    ) as caught:
        fit(tiny, tmp_path, data=few, stop=lambda: 15)
    assert caught.value.reason == 15
    assert load_checkpoint(tmp_path)["progress"]["step"] == 1


@pytest.fixture
def late_metrics(monkeypatch):
    """Metrics of a device that is far behind Python."""
    monkeypatch.setattr("sense.progress.LateValue", NotReady)


@pytest.mark.parametrize("after", [None, 3, 8])
def test_late_metrics_are_those_of_the_run(tmp_path, few, tiny, late_metrics, monkeypatch, after):
    """Also if the run was stopped and resumed."""
    calls = iter(range(100))

    def stop():
        return 15 if next(calls) == after else None

    def measured(folder):
        return [{k: v for k, v in line.items() if "second" not in k} for line in lines(folder)]

    if after is None:
        fit(tiny, tmp_path / "late", data=few)
    else:
        with pytest.raises(TrainingStopped):
            fit(tiny, tmp_path / "late", data=few, stop=stop)
        fit(tiny, tmp_path / "late", data=few, resume=True)
    monkeypatch.undo()
    fit(tiny, tmp_path / "plain", data=few)
    assert measured(tmp_path / "late") == measured(tmp_path / "plain")
    assert equal(weights(tmp_path / "late"), weights(tmp_path / "plain"))


@pytest.mark.parametrize("stopped", [False, True])
def test_a_late_nan_is_found_before_a_checkpoint_is_written(
    tmp_path, few, tiny, late_metrics, monkeypatch, stopped
):
    fit(replace(tiny, epochs=1), tmp_path, data=few)
    checkpoint = (tmp_path / CHECKPOINT).read_bytes()
    monkeypatch.setattr("sense.train.check_finite_gradients", lambda *arguments: None)
    real, steps = train.LateMetrics.add, []

    def add(late, step, images, epoch, **options):
        steps.append(epoch)
        loss = step.loss * (math.nan if len(steps) == 3 else 1)
        real(late, replace(step, loss=loss), images, epoch, **options)

    monkeypatch.setattr(train.LateMetrics, "add", add)
    stop = (lambda: 15 if len(steps) > 3 else None) if stopped else (lambda: None)
    with pytest.raises(NotFiniteError, match=r"the loss became nan after 2\.33 epochs"):
        fit(tiny, tmp_path, data=few, resume=True, stop=stop)
    assert (tmp_path / CHECKPOINT).read_bytes() == checkpoint
