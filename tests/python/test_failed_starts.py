"""A start that fails leaves no files; a run that has begun can be resumed."""

import os
import signal
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from fake_method import FakeMethod
from sense import training_setup
from sense.cli import evaluate_main, train_main
from sense.errors import InputError, TakenError
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_target
from sense.evaluation.targets import Target
from sense.run_folder import RunFolder
from sense.runs import CONFIG
from sense.train import fit
from test_concurrent_folders import TINY, images


class Broken(nn.Module):
    """A network that fails in one of several ways."""

    def __init__(self, how="parameters"):
        super().__init__()
        self.how, self.linear = how, nn.Linear(784, 10)

    def forward(self, x):
        if self.how == "raises":
            raise RuntimeError("shapes do not fit")
        logits = self.linear(x.flatten(1))
        return {"shape": logits[..., None].expand(-1, -1, 2), "nan": logits * torch.nan}[self.how]


FAILURES = {
    "no such device": ({"device": "cuda:99"}, {}),
    "no such module": ({"model": "no_such_module:make"}, {}),
    "no network": ({"model": "os:getcwd"}, {}),
    "no data": ({}, {"data": None}),
    "raises": ({}, {"model": Broken("raises")}),
    "wrong shape": ({}, {"model": Broken("shape")}),
    "NaN": ({}, {"model": Broken("nan")}),
}


@pytest.mark.parametrize("given", FAILURES)
def test_a_run_that_cannot_start_leaves_no_folder(tmp_path, given):
    change, options = FAILURES[given]
    place = tmp_path / "runs" / "run"
    with pytest.raises(InputError):
        fit(replace(TINY, **change), place, **{"data": images(), **options})
    assert os.listdir(tmp_path) == []
    fit(replace(TINY, epochs=1), place, data=images())  # the place is free


def test_only_an_error_after_the_first_epoch_leaves_the_run(tmp_path, monkeypatch):
    for last, left in ((3, False), (6, True)):  # four steps an epoch
        factors = iter([1.0] * (last - 1) + [torch.nan])

        def loss(model, batch, factors=factors):
            return model(batch.x).square().mean() * next(factors)

        method = FakeMethod(loss)
        monkeypatch.setattr(
            training_setup, "build_method", lambda *arguments, method=method: method
        )
        with pytest.raises(FloatingPointError):
            fit(TINY, tmp_path / "run", data=images())
        assert (tmp_path / "run" / CONFIG).exists() == left
        assert (tmp_path / "run").exists() == left


def test_other_files_in_an_existing_folder_are_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="shapes do not fit"):
        fit(TINY, tmp_path, data=images(), model=Broken("raises"))
    assert os.listdir(tmp_path) == ["notes.txt"]
    (tmp_path / "outcomes.csv").write_text("mine")
    with pytest.raises(TakenError, match=r"holds outcomes.csv already"):
        fit(TINY, tmp_path, data=images())
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "outcomes.csv"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--device", "abacus"],
        ["--dataset", "mnist", "--data-dir", "/nowhere"],
        ["--model", "no_such:make"],
        ["--out", "other", "--device", "abacus"],
    ],
)
def test_a_command_that_fails_leaves_no_folder(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        train_main([*arguments, "--threads", "1"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("how", ["raises", "shape"])
def test_an_evaluation_that_cannot_start_leaves_no_folder(tmp_path, how):
    target = Target("mine", "object", "mine", Broken(how), images(), tmp_path / "a" / "b")
    with pytest.raises(InputError):
        evaluate_target(target, Settings(eps=0.1, steps=1, restarts=1))
    assert os.listdir(tmp_path) == []


def test_an_evaluation_without_images_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["nowhere"],
        ["sense.models:SmallCNN", "--dataset", "mnist-sample"],
        [
            "sense.models:SmallCNN",
            "--dataset",
            "mnist-sample",
            "--eps",
            "0.1",
            "--device",
            "abacus",
            "--out",
            "out",
        ],
    ):
        with pytest.raises(SystemExit):
            evaluate_main(arguments)
        assert os.listdir(tmp_path) == []


SLOW = [
    "--model",
    "wrn-16-4",
    "--method",
    "r-at",
    "--steps",
    "500",
    "--pretrain",
    "0",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--batch-size",
    "500",
    "--out",
    "run",
]


def test_a_second_ctrl_c_exits_at_once_and_keeps_the_run(start, tmp_path):
    """During a step of many minutes, for whose end the first Ctrl-C waits."""
    process = start("sense.train", *SLOW)
    while not (tmp_path / "run" / CONFIG).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(0.3)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors.splitlines()[-1] == "sense.train: interrupted"
    assert "Traceback" not in errors
    RunFolder(tmp_path / "run").check()
    assert (tmp_path / "run" / CONFIG).exists()
