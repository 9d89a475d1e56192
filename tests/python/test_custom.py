"""Custom networks, by the name of a factory or passed in memory."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from sense.cli import evaluate_main, train_main
from sense.config import Config
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.models import build_model
from sense.runs import load
from sense.train import fit

MODULE = """
from torch import nn

class Own(nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

def fixed(width=5):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))

def by_name(shape=(1, 2, 2), classes=3):
    return Own(shape, classes)

class nested:
    make = staticmethod(fixed)

def of_three(a, b, c):
    return None


def nothing():
    return 3

number = 3
"""


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """The working directory has a module of the user's; a new one in each test."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize(
    ("factory", "outputs"), [("Own", 4), ("fixed", 10), ("by_name", 4), ("nested.make", 10)]
)
def test_a_factory_is_called_with_sizes_if_it_needs_them(in_folder, factory, outputs):
    model = build_model(f"{in_folder}:{factory}", (1, 28, 28), 4)
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, outputs)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:make", "cannot import no_such_module"),
        ("OWN:absent", "has no absent"),
        ("OWN:number", "number is not callable"),
        (
            "OWN:of_three",
            r"a function of \(shape, classes\), or of no arguments, got of_three",
        ),
        ("OWN:nothing", "returned a int, not a torch.nn.Module"),
    ],
)
def test_a_wrong_factory_is_rejected_with_the_reason(in_folder, name, message):
    with pytest.raises(ValueError, match=message):
        build_model(name.replace("OWN", in_folder), (1, 28, 28), 10)


def test_a_factory_can_be_trained_and_evaluated(in_folder, tmp_path, capsys):
    run = tmp_path / "run"
    train_main(
        [
            "--model",
            f"{in_folder}:Own",
            "--method",
            "nt",
            "--pretrain",
            "0",
            "--epochs",
            "1",
            "--train-size",
            "500",
            "--monitor-size",
            "16",
            "--threads",
            "1",
            "--out",
            str(run),
        ]
    )
    assert json.loads((run / "config.json").read_text())["config"]["model"] == f"{in_folder}:Own"
    name = f"{in_folder}:Own"
    quick = ["--steps", "2", "--restarts", "1", "--n", "50", "--no-diagnostics"]
    evaluate_main([str(run), "--model", name, *quick])
    assert "natural" in capsys.readouterr().out
    assert isinstance(load(run, name)[1], nn.Linear)


class Mine(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))


QUICK = Config(
    dataset="arrays",
    method="r-at",
    pretrain=0,
    epochs=2,
    batch_size=50,
    steps=2,
    monitor_size=16,
    threads=1,
    lr=0.05,
    device="cpu",
)


def test_a_network_passed_in_memory_is_trained_and_its_class_is_stored(few, tmp_path):
    mine = Mine()
    before = mine[1].weight.clone()
    assert fit(QUICK, tmp_path, data=few, model=mine) is mine
    assert not torch.equal(mine[1].weight, before)
    noted = json.loads((tmp_path / "config.json").read_text())["config"]["model"]
    assert noted == "an instance of Mine"


def test_a_network_passed_in_memory_must_be_passed_again(few, tmp_path, in_folder, capsys):
    fit(QUICK, tmp_path / "run", data=few, model=(mine := Mine()))
    attack = Settings(steps=2, restarts=1, diagnostics=False)
    for opened in (load, lambda run: evaluate_run(run, attack, data=few)):
        with pytest.raises(ValueError, match="a Mine, was passed in memory: pass it again"):
            opened(tmp_path / "run")
    again = load(tmp_path / "run", Mine())
    assert torch.equal(again[1].weight, mine[1].weight)
    found = evaluate_run(tmp_path / "run", attack, data=few, model=Mine())
    by_name = evaluate_run(
        tmp_path / "run", attack, data=few, model=f"{in_folder}:Own", out=tmp_path / "by-name"
    )
    assert by_name["accuracy"] == found["accuracy"]


def test_another_network_is_rejected(few, tmp_path):
    fit(QUICK, tmp_path, data=few, model=Mine())
    with pytest.raises(ValueError, match=r"weights in .* belong to another network"):
        load(tmp_path, nn.Linear(3, 2))


def test_a_resumed_custom_network_has_the_same_weights(few, tmp_path):
    from sense.train import TrainingStopped

    calls = []

    def stop():
        calls.append(1)
        return 2 if len(calls) == 4 else None

    torch.manual_seed(1)
    whole = fit(QUICK, tmp_path / "whole", data=few, model=Mine())
    torch.manual_seed(1)
    with pytest.raises(TrainingStopped):
        fit(QUICK, tmp_path / "pieces", data=few, model=Mine(), stop=stop)
    with pytest.raises(ValueError, match=r"other options: model \(an instance of Mine, not"):
        fit(replace(QUICK, model="capacity-1"), tmp_path / "pieces", data=few, resume=True)
    pieces = fit(QUICK, tmp_path / "pieces", data=few, model=Mine(), resume=True)
    assert torch.equal(whole[1].weight, pieces[1].weight)
