"""Collapsed training: the exact tests, and where a collapse is reported."""

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from math import comb
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from networks import conv_network, images_and_labels
from sense.collapse import (
    MINIMUM_UPDATES,
    MOST_FREQUENT_LABEL,
    NAMES,
    ONE_CLASS,
    P_VALUE,
    WITHSTAND_PGD,
    collapse_summary,
    find_collapse,
    is_catastrophic,
    is_one_class,
    new_collapse,
)
from sense.config import Config, recipe
from sense.config.options import FGSM
from sense.data import ImageData
from sense.errors import InputError
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.tables import footer
from sense.evaluation.targets import open_run, training_note
from sense.methods import METHODS, Batch, build_method
from sense.monitor import Monitor
from sense.progress import epoch_line
from sense.run_folder import RunFolder
from sense.runs import METRICS
from sense.train import fit


def replace_training(data, n):
    x, y = data.train_x[:n], data.train_y[:n]
    return ImageData("some", x, y, data.test_x, data.test_y, data.classes)


def at_least(k, n, p):
    """P(X >= k) of a binomial variable, summed term by term."""
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


# The rules


@pytest.mark.parametrize(("n", "most_labels"), [(32, 5), (256, 30)])
def test_catastrophic_overfitting_needs_exact_tests_of_both_counts(n, most_labels):
    found = set()
    for one_step in range(0, n + 1, n // 16):
        for robust in range(0, one_step // 2 + 1, n // 32):
            lost = one_step - robust
            rejected = (
                one_step > most_labels
                and robust < WITHSTAND_PGD * one_step
                and at_least(lost, one_step, 1 - WITHSTAND_PGD) <= P_VALUE
                and at_least(one_step, n, most_labels / n) <= P_VALUE
            )
            assert is_catastrophic(one_step, robust, n, most_labels) == rejected
            found.add(rejected)
    assert found == {True, False}


def test_one_class_needs_the_whole_exact_interval():
    for n in (16, 17, 30, 256):
        for most in range(n + 1):
            rejected = most > ONE_CLASS * n and at_least(most, n, ONE_CLASS) <= 0.025
            assert is_one_class(most, n) == rejected
    assert is_one_class(17, 17)
    assert not is_one_class(16, 16)


def test_few_images_show_nothing():
    labels = torch.arange(10)
    assert find_collapse(labels, torch.zeros(10).long(), 0, 10) is None
    assert find_collapse(labels.repeat(3), torch.zeros(30).long(), 0, 30) == "one-class"
    assert find_collapse(labels.repeat(3), labels.repeat(3), 0, 30) == "catastrophic-overfitting"
    assert find_collapse(labels.repeat(3), labels.repeat(3), 0, None) is None


def test_images_of_one_class_show_nothing():
    labels = torch.tensor([1] * 60 + [0] * 40)
    assert find_collapse(labels, torch.ones(100).long(), 0, 90) is None
    labels[: 60 - int(100 * MOST_FREQUENT_LABEL)] = 2
    assert find_collapse(labels, torch.ones(100).long(), 0, 90) == "one-class"


# Correct without attack, after one step and under PGD, of 256 images: each epoch of real training
# on the MNIST sample (FGSM-RS, eps 0.3, seed 1).
HEALTHY = [
    (125, 26, 13),
    (131, 51, 33),
    (208, 102, 53),
    (229, 126, 61),
    (233, 149, 75),
    (240, 168, 115),
    (246, 183, 128),
    (249, 187, 107),
    (248, 198, 122),
    (252, 203, 126),
    (251, 210, 114),
]


@pytest.mark.parametrize("counts", HEALTHY, ids=str)
def test_training_that_learns_has_not_collapsed(counts):
    natural, one_step, robust = counts
    labels = torch.arange(256) % 10
    predictions = torch.where(torch.arange(256) < natural, labels, (labels + 1) % 10)
    assert find_collapse(labels, predictions, robust, one_step) is None


# The monitored images


class Constant(nn.Module):
    def forward(self, x):
        logits = torch.zeros(len(x), 2) + 0 * x.mean((1, 2, 3), keepdim=False)[:, None]
        return logits + torch.tensor([0.0, 1.0])


class Ring(nn.Module):
    """Right where the mean of the pixels is far from 1/2. The gradient leads to 1/2: small steps
    get there, a step of more than eps goes past it. The class is that of the first pixel."""

    def forward(self, x):
        margin = (x.mean((1, 2, 3)) - 0.5).square() * 1e4 - 4
        side = (x[:, 0, 0, 0] - 0.5).sign()
        return torch.stack([-side * margin, side * margin], 1)


def monitored():
    x = torch.full((64, 1, 6, 6), 0.5)
    x[:, 0, 0, 0] = 0.1 + 0.8 * (torch.arange(64) % 2)
    return Monitor(x, torch.arange(64) % 2, "training")


FAST = Config(method="fgsm-rs", eps=0.1, step_size=0.005, steps=40)


def one_step(network, x, y):
    return build_method(FAST).after_one_step(network, x, y)


def test_the_monitor_distinguishes_the_two_kinds():
    assert (
        monitored().evaluate(Constant(), FAST, MINIMUM_UPDATES, one_step)["collapse"] == "one-class"
    )
    found = monitored().evaluate(Ring(), FAST, MINIMUM_UPDATES, one_step)
    assert found["one_step_correct"] == 64
    assert found["robust_correct"] == 0
    assert found["collapse"] == "catastrophic-overfitting"
    found = monitored().evaluate(Ring(), FAST, MINIMUM_UPDATES)
    assert not {"one_step_correct", "collapse"} & set(found)


def test_nothing_is_concluded_of_a_network_that_has_hardly_been_trained():
    for network in (Constant(), Ring()):
        assert "collapse" not in monitored().evaluate(network, FAST, MINIMUM_UPDATES - 1, one_step)


@pytest.mark.parametrize("method", METHODS)
def test_the_step_of_training_at_full_strength(method):
    """For fgsm-rs and n-fgsm the images of training after the ramp; within the ball for free."""
    config = Config(method=method, eps=0.1, eps_ramp=3.0 if method in FGSM.methods else 0.0)
    built = build_method(config)
    if method not in FGSM.methods:
        assert built.after_one_step is None
        return
    network = conv_network().eval()
    x, y = images_and_labels(network, 20, 1, 8, 8)
    torch.manual_seed(1)
    found = built.after_one_step(network, x, y)
    if method != "free":
        torch.manual_seed(1)
        same = build_method(replace(config, eps_ramp=0.0))
        expected = same.examples(network, Batch(x, y, torch.arange(20)), 0.0).x_adv
        assert torch.equal(found, expected)
    distance = (found - x).abs().max().item()
    assert distance == pytest.approx(0.1 if method != "n-fgsm" else 0.3, abs=1e-3)


@pytest.mark.slow
def test_real_training_that_collapses_and_that_does_not(tmp_path, sample):
    """FGSM without noise in a large ball collapses; with the noise of N-FGSM in a smaller one it
    does not. The same network and images, 13 epochs."""
    data = replace_training(sample, 2000)
    base = replace(
        recipe("mnist-demo"),
        method="n-fgsm",
        dataset="arrays",
        model="capacity-4",
        epochs=10,
        pretrain=2,
        batch_size=32,
        lr=0.02,
        eps_ramp=3.0,
        threads=1,
        device="cpu",
    )
    collapsing = replace(base, eps=0.4, eps_start=0.1, noise_scale=0.0)
    healthy = replace(base, eps=0.15, step_size=0.03)
    kinds = {}
    for name, config in {"collapsing": collapsing, "healthy": healthy}.items():
        metrics = []
        fit(config, tmp_path / name, data=data, on_epoch=metrics.append)
        kinds[name] = [entry.get("collapse") for entry in metrics]
    assert kinds["collapsing"][-1] == "catastrophic-overfitting"
    assert set(kinds["healthy"]) == {None}


# What is said


def line(epoch, kind=None, **more):
    counts = {"monitored": 256, "natural_correct": 240, "robust_correct": 3}
    found = {"epoch": epoch, **counts, "one_step_correct": 230, **more}
    return found | ({"collapse": kind} if kind else {})


def test_a_collapse_is_noted_where_it_begins():
    kinds = [None, "one-class", "one-class", "catastrophic-overfitting", None, "one-class"]
    metrics = [line(i + 1, kind) for i, kind in enumerate(kinds)]
    noted = [new_collapse(metrics[: i + 1]) for i in range(len(metrics))]
    assert [bool(note) for note in noted] == [False, True, False, True, False, True]
    assert noted[1].startswith("epoch 2: the network predicts one class for nearly all")
    assert (
        "of 256 monitored images 230 are correctly classified after one step, and 3 under PGD"
        in (noted[3])
    )
    assert new_collapse(metrics[1:2])


def test_the_summary_is_about_the_weights_that_are_kept():
    collapsed = line(2, "catastrophic-overfitting")
    assert collapse_summary([line(1), line(2)]) is None
    assert collapse_summary([line(1), collapsed]).startswith(
        "the weights of this run are those of a collapsed network (epoch 2): catastrophic"
    )
    kept = collapse_summary([line(1), {**collapsed, "kept_epoch": 1}])
    assert kept == (
        "training collapsed for a time (epoch 2); the weights of this run, of epoch 1, do not show "
        "it"
    )
    assert collapse_summary([line(1), collapsed, line(3)]).endswith("of epoch 3, do not show it")


class Collapsed(NamedTuple):
    folder: Path
    output: str
    errors: str


@pytest.fixture
def collapsed(tmp_path, few, tiny, monkeypatch):
    """A run whose last two epochs have collapsed."""
    evaluate, calls = Monitor.evaluate, []

    def counted(self, network, config, updates=0, after_one_step=None):
        calls.append((updates, after_one_step is not None))
        found = evaluate(self, network, config, 0, after_one_step)
        return found | ({"collapse": "catastrophic-overfitting"} if len(calls) > 1 else {})

    monkeypatch.setattr(Monitor, "evaluate", counted)
    folder = tmp_path / "run"
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
        fit(replace(tiny, method="fgsm-rs", c=0.7), folder, data=few, show=True)
    assert calls == [(0, False), (12, True), (18, True)]  # the first epoch is pre-training
    return Collapsed(folder, output.getvalue(), errors.getvalue())


def test_a_collapse_is_printed_and_stored(collapsed):
    folder, output, errors = collapsed
    assert output.count("COLLAPSED (catastrophic overfitting)") == 2
    begun, ended = (row for row in errors.splitlines() if row.startswith("note: "))
    assert begun.startswith("note: epoch 2: catastrophic overfitting: of 32 monitored images")
    assert ended.startswith("note: the weights of this run are those of a collapsed network")
    lines = [json.loads(text) for text in (folder / METRICS).read_text().splitlines()]
    assert [entry.get("collapse") for entry in lines] == [None, *["catastrophic-overfitting"] * 2]
    assert [("one_step_correct" in entry) for entry in lines] == [False, True, True]
    assert "COLLAPSED" not in epoch_line(lines[:1], 3)


def test_an_evaluation_has_a_note_on_the_training(collapsed, few):
    settings = Settings(attacks=("fgsm",), diagnostics=False)
    content = evaluate_run(collapsed.folder, settings, data=few)
    note = content["target"]["training_note"]
    assert note.startswith("the weights of this run are those of a collapsed network (epoch 3)")
    assert f"Note on the training: {note}." in footer(content)


def test_a_run_that_did_not_collapse_has_no_note(trained):
    folder, data = trained
    assert open_run(folder, data=data).training_note is None


def test_damaged_metrics_are_an_error():
    for bad in ({"collapse": "unknown"}, {"collapse": ["one-class"]}, {"kept_epoch": 7}):
        with pytest.raises(InputError, match=r"here/metrics.jsonl is damaged"):
            training_note([{**line(1, "one-class"), **bad}], f"here/{METRICS}")
    assert training_note([line(1, kind) for kind in NAMES], "here")


def test_a_folder_without_metrics_can_be_evaluated(collapsed, few):
    with RunFolder(collapsed.folder) as run:
        run.lock()
        run.remove([METRICS])
    assert open_run(collapsed.folder, data=few).training_note is None
