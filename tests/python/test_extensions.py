"""Code of the user's own in place of a name: methods, optimizers, schedules, augmentations and
attacks."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

import own_code
import sense
from conftest import ROOT
from sense.cli import evaluate_main, train_main
from sense.config import Config, notes, recipe
from sense.errors import InputError
from sense.evaluation.compare import compare
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.extensions import Code, code_name, is_code
from sense.methods import METHODS, build_method
from sense.optimizers import build_optimizer, set_learning_rate
from sense.runs import read_run
from sense.schedules import learning_rate
from sense.train import TrainingStopped, fit
from test_resume import after, same_weights

OWN = {
    "method": own_code.paired,
    "optimizer": own_code.adamw,
    "schedule": own_code.halving,
    "augment": own_code.darker,
}
NAMES = {option: f"own_code:{code.__name__}" for option, code in OWN.items()}


def test_names_of_code():
    assert code_name(own_code.paired) == "own_code:paired"
    assert code_name(own_code.Averaged) == "own_code:Averaged"
    assert code_name(nn.Flatten()) == "torch.nn.modules.flatten:Flatten"
    assert code_name(lambda: 3) == "test_extensions:test_names_of_code.<locals>.<lambda>"
    for method in METHODS:
        assert not is_code(method)
    for other in (None, 3, "", ":", "a:", "a b:c", "a:b c", "a:b\n", "ä:b", "a:" + "b" * 200):
        assert not is_code(other)


def test_a_config_holds_the_code_and_stores_its_name():
    config = Config(**OWN)
    assert config == Config(**NAMES)
    assert config.method.code is own_code.paired
    assert replace(config, lr=0.5).method.code is own_code.paired
    plain = config.to_plain()
    assert {name: plain[name] for name in NAMES} == NAMES
    assert all(type(plain[name]) is str for name in NAMES)
    with pytest.raises(InputError, match=r"method must be one of nt, .*MODULE:NAME, got 'natural'"):
        Config(method="natural")


def test_a_method_of_the_users_own_may_use_every_option():
    config = replace(Config(method=own_code.paired), beta=2.0, c=0.3, gamma=0.1)
    assert not [note for note in notes(config) if "no effect" in note]
    full = config.resolved()
    assert (full.random_start, full.natural_weight, full.warmup) == (True, 0.0, 0)


def test_the_same_code_by_name_and_in_memory_gives_the_same_run(few, tiny, tmp_path):
    fit(replace(tiny, **OWN), tmp_path / "memory", data=few)
    fit(replace(tiny, **NAMES), tmp_path / "name", data=few)
    assert same_weights(tmp_path / "memory", tmp_path / "name")
    for folder in ("memory", "name"):
        stored = json.loads((tmp_path / folder / "config.json").read_text())["config"]
        assert {name: stored[name] for name in NAMES} == NAMES
    fit(tiny, tmp_path / "ours", data=few)
    assert not same_weights(tmp_path / "memory", tmp_path / "ours")


@pytest.mark.parametrize("method", [own_code.paired, own_code.Averaged])
@pytest.mark.parametrize("steps", [4, 9])
def test_a_run_with_own_code_is_resumed_bit_for_bit(few, tiny, tmp_path, method, steps):
    config = replace(tiny, **(OWN | {"method": method}))
    fit(config, tmp_path / "whole", data=few)
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "pieces", data=few, stop=after(steps))
    fit(config, tmp_path / "pieces", data=few, resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "pieces")


def test_an_own_r_at_is_r_at(few, tiny, tmp_path):
    def r_at(model, batch, config, epoch):
        x_adv = sense.pgd(
            model, batch.x, batch.y, eps=config.eps, step_size=config.step_size, steps=config.steps
        )
        return nn.functional.cross_entropy(model(x_adv), batch.y)

    fit(replace(tiny, method=r_at), tmp_path / "own", data=few)
    fit(replace(tiny, method="r-at"), tmp_path / "ours", data=few)
    assert same_weights(tmp_path / "own", tmp_path / "ours")


def test_an_own_optimizer_keeps_the_ratio_of_its_learning_rates():
    model = nn.Linear(3, 2)
    config = Config(optimizer=own_code.adamw, lr=0.1, schedule=own_code.halving)
    optimizer = build_optimizer(config, model)
    for epoch in (0.0, 1.0, 2.5):
        set_learning_rate(optimizer, learning_rate(config, epoch), config)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([0.1 * 0.5**epoch, 0.2 * 0.5**epoch])


WRONG = [
    ("method", own_code.two_losses, r"own_code:two_losses must return the mean loss .* \(50,\)"),
    ("method", own_code.no_gradient, "own_code:no_gradient returned a loss without a gradient"),
    ("method", own_code.NoMethod, "own_code:NoMethod must be a function .* or a class derived"),
    ("method", own_code.NoStep, "own_code:NoStep must return the mean loss .*Step"),
    ("optimizer", own_code.no_optimizer, r"own_code:no_optimizer must return a torch.*got int"),
    ("optimizer", own_code.other_parameters, "own_code:other_parameters has parameters that the"),
    ("optimizer", own_code.closure, "own_code:closure needs a closure"),
    ("schedule", own_code.negative, r"own_code:negative must return .* got -1.0 for epoch 0"),
    ("augment", own_code.smaller, r"own_code:smaller must return images .* \(2, 1, 27, 27\)"),
    ("augment", own_code.brighter, "own_code:brighter must return pixels from 0 to 1"),
    ("method", "own_code:absent", "method own_code:absent: own_code has no absent"),
    ("optimizer", "absent:make", "optimizer absent:make: cannot import absent"),
]


@pytest.mark.parametrize(("option", "code", "message"), WRONG)
def test_a_wrong_return_value_names_the_code(few, tiny, tmp_path, option, code, message):
    config = replace(tiny, pretrain=0, **{option: code})
    with pytest.raises(InputError, match=message):
        fit(config, tmp_path / "run", data=few)
    assert not (tmp_path / "run").exists()


# Attacks


def test_an_own_attack_is_recorded_as_such_and_counts_for_the_worst(trained, tmp_path):
    folder, data = trained
    settings = Settings(attacks=("fgsm", own_code.corner), n=60, eps=0.3)
    content = evaluate_run(folder, settings, data=data, out=tmp_path / "out")
    entry = content["attacks"]["own_code:corner"]
    assert entry["code"] == "own_code:corner"
    assert (entry["label"], entry["eps"], entry["norm"]) == ("corner (own attack)", 0.3, "inf")
    assert not any("code" in content["attacks"][name] for name in ("natural", "fgsm"))
    network = sense.load(folder)
    x, y = data.test_x[:60].float() / 255, data.test_y[:60]
    found = sense.evaluate(network, x, y, eps=0.3, attacks=["fgsm", own_code.corner])
    for name, accuracy in found.accuracy.items():
        assert accuracy.k == content["accuracy"][name]["k"]
    worst = found.correct.under(["natural", "fgsm", "own_code:corner"])
    assert content["accuracy"]["worst"]["k"] == int(worst.sum())
    # Again, by name: nothing is left to do.
    again = evaluate_run(
        folder,
        Settings(attacks=("fgsm", "own_code:corner"), n=60, eps=0.3),
        data=data,
        out=tmp_path / "out",
    )
    assert again["accuracy"] == content["accuracy"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (own_code.too_far, "attack own_code:too_far: an attack went to a distance of 0.6"),
        (own_code.outside, "attack own_code:outside: an attack left the pixel bounds"),
        (own_code.labels, "attack own_code:labels must return images .* got torch.int64 of shape"),
        ("own_code:absent", "attack own_code:absent: own_code has no absent"),
    ],
)
def test_a_wrong_attack_is_named(trained, code, message):
    folder, data = trained
    x, y = data.test_x[:20].float() / 255, data.test_y[:20]
    with pytest.raises(InputError, match=message):
        sense.evaluate(sense.load(folder), x, y, eps=0.3, attacks=[code])


def test_an_own_attack_leaves_the_network_in_evaluation_mode(trained):
    folder, data = trained
    seen = []

    def spy(model, x, y, *, eps, norm):
        seen.append(model.training)
        model.train()
        return x

    network = sense.load(folder)
    x, y = data.test_x[:20].float() / 255, data.test_y[:20]
    found = sense.evaluate(network, x, y, eps=0.3, attacks=[spy])
    assert seen == [False]
    assert not network.training
    assert found.accuracy["natural"].k == found.accuracy[code_name(spy)].k


# The command line


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A copy of own_code in the working directory, with a name of its own, which no test has
    imported."""
    name = f"mine_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(Path(own_code.__file__).read_text())
    monkeypatch.chdir(tmp_path)
    return name


QUICK = ["--train-size", "200", "--epochs", "1", "--pretrain", "0", "--monitor-size", "16"]
QUICK += ["--model", "capacity-1", "--steps", "2", "--threads", "1"]


def test_code_on_the_command_line(module, tmp_path, capsys):
    given = [f"--{o}={n.replace('own_code', module)}" for o, n in NAMES.items()]
    train_main([*QUICK, *given, "--out", "run"])
    sys.modules.pop(module)
    with pytest.raises(SystemExit):
        train_main(["--resume", "run"])
    assert f"--method {module}:paired" in capsys.readouterr().err
    assert module not in sys.modules
    with pytest.raises(SystemExit):
        train_main(["--resume", "run", "--epochs", "2", *given[:2]])
    assert f"--schedule {module}:halving" in capsys.readouterr().err
    train_main(["--resume", "run", "--epochs", "2", *given])
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2
    assert read_run("run")[0].method == f"{module}:paired"
    with pytest.raises(SystemExit):
        train_main(["--resume", "run", "--epochs", "3", *given[1:], "--method", "own_code:paired"])
    assert f"method ({module}:paired, not own_code:paired)" in capsys.readouterr().err
    sys.modules.pop(module)
    evaluate_main(["run", "--attacks", "fgsm", "--n", "20", "--no-diagnostics"])
    assert module not in sys.modules
    evaluate_main(["run", "--attacks", f"{module}:corner", "--n", "20", "--no-diagnostics"])
    assert "corner (own attack)" in capsys.readouterr().out


def test_another_method_is_another_training(few, tiny, trained, tmp_path):
    for method, seed in (("nt", 1), (own_code.paired, 1), (own_code.paired, 2)):
        folder = tmp_path / f"{code_name(method) if callable(method) else method}-{seed}"
        fit(replace(tiny, method=method, seed=seed, epochs=1), folder, data=few)
        settings = Settings(attacks=("fgsm",), diagnostics=False)
        evaluate_run(folder, settings, data=few)
    found = compare({folder.name: folder for folder in sorted(tmp_path.iterdir())})
    assert [row["models"] for row in found["seeds"] if row["attack"] == "natural"] == [
        ["own_code:paired-1", "own_code:paired-2"]
    ]


def test_code_that_is_only_a_name_is_not_built():
    with pytest.raises(KeyError):
        build_method(Config(method="own_code:paired"))
    assert isinstance(Config(method=own_code.paired).method, Code)


# docs/extending.md


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    """With fewer images and steps than on the page."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/extending.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) >= 4
    small = dict(train_size=200, pretrain=0, epochs=1, steps=1, monitor_size=8, model="capacity-1")
    monkeypatch.setattr(sense, "recipe", lambda name: replace(recipe(name), **small), raising=False)
    names = {"__name__": "page"}
    for block in blocks:
        exec(block.replace("n=500", "n=20, steps=1, restarts=1"), names)
    assert read_run("runs/paired")[0].method == "page:paired"
    assert "page:corner" in names["evaluation"].accuracy
    assert list((tmp_path / "runs/watched/tensorboard").iterdir())
    fit(replace(recipe("mnist-demo"), **small, method=names["Averaged"]), "runs/averaged")
    assert "weight" in json.loads((tmp_path / "runs/averaged/metrics.jsonl").read_text())
