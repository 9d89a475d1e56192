import csv
import json
from dataclasses import replace

import pytest
import torch

from networks import linear_network
from sense import evaluate as module
from sense.config import Config
from sense.data import ImageData, to_float
from sense.evaluate import (
    EVALUATION,
    OUTCOMES,
    Outcome,
    PGDAttack,
    evaluate,
    evaluate_run,
    summarise,
    write_outcomes,
)
from sense.models import build_model
from sense.statistics import wilson
from sense.train import fit

QUICK = PGDAttack(steps=5, restarts=2, step_size=0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory, sample):
    """A network that is right often, and often not under attack: 600 test images, three batches."""
    data = ImageData(
        name="some", classes=sample.classes,
        train_x=sample.train_x[:3000], train_y=sample.train_y[:3000],
        test_x=sample.test_x[:600], test_y=sample.test_y[:600],
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("run")
    config = Config(dataset="arrays", model="capacity-1", method="nt", pretrain=0, epochs=2,
                    batch_size=50, lr=0.05, eps=0.08, monitor=32, threads=1)  # fmt: skip
    fit(config, folder, data=data)
    return folder, data


def outcomes(folder):
    with (folder / OUTCOMES).open() as file:
        return list(csv.DictReader(file))


def test_files_agree_with_each_other_and_with_the_network(run):
    folder, data = run
    accuracies = evaluate_run(folder, QUICK, data=data)
    rows = outcomes(folder)
    assert list(rows[0]) == ["image", "label", "attack", "prediction", "correct"]
    told = json.loads((folder / EVALUATION).read_text())
    for name in ("natural", "pgd"):
        mine = [row for row in rows if row["attack"] == name]
        assert [int(row["image"]) for row in mine] == list(range(600))
        assert [int(row["label"]) for row in mine] == data.test_y.tolist()
        assert all((row["label"] == row["prediction"]) == (row["correct"] == "1") for row in mine)
        k = sum(int(row["correct"]) for row in mine)
        assert accuracies[name] == wilson(k, 600)
        assert told["accuracy"][name] == {**wilson(k, 600)._asdict(), "level": 0.95}
    model = module.load_model(folder)
    predictions = model(to_float(data.test_x)).argmax(1).tolist()
    assert [int(row["prediction"]) for row in rows[:600]] == predictions
    assert told["attack"] == {"name": "pgd", "steps": 5, "restarts": 2, "step_size": 0.05,
                              "eps": 0.08, "norm": "inf", "seed": 0}  # fmt: skip
    assert 0.2 < accuracies["pgd"].estimate < accuracies["natural"].estimate - 0.1


def test_no_image_is_right_under_attack_and_wrong_without(run):
    folder, data = run
    evaluate_run(folder, QUICK, data=data)
    rows = outcomes(folder)
    assert all(
        robust["correct"] <= natural["correct"]
        for natural, robust in zip(rows[:600], rows[600:], strict=True)
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_restarts_never_save_an_image(run, seed):
    """In no batch: there are three."""
    folder, data = run
    model = module.load_model(folder)
    attack = replace(QUICK, eps=0.08, norm="inf", steps=1, step_size=0.01, seed=seed)
    before = [1] * 600
    for restarts in (1, 2, 4, 8):
        found = evaluate(model, data.test_x, data.test_y, replace(attack, restarts=restarts))
        now = [outcome.correct for outcome in found[600:]]
        assert all(b >= n for b, n in zip(before, now, strict=True))
        assert sum(now) < sum(before)
        before = now


def test_the_seed_decides_and_the_first_n_are_the_first_n(run):
    folder, data = run
    attack = replace(QUICK, steps=1)
    results = []
    for seed, n in ((0, None), (0, None), (0, 100), (1, None)):
        torch.rand(3)
        evaluate_run(folder, replace(attack, seed=seed), data=data, n=n)
        results.append([row["correct"] for row in outcomes(folder) if row["attack"] == "pgd"])
    assert results[0] == results[1]
    assert results[2] == results[0][:100]
    assert results[3] != results[0]


def test_the_callers_random_stream_is_left_alone(run):
    folder, data = run
    model, attack = module.load_model(folder), replace(QUICK, eps=0.1, norm="inf")
    before = torch.get_rng_state()
    evaluate(model, data.test_x[:20], data.test_y[:20], attack)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("change", [{"eps": 0.2}, {"norm": "2", "eps": 0.2}, {"steps": 1}])
def test_options_of_the_attack_are_used(run, change):
    folder, data = run
    usual = evaluate_run(folder, QUICK, data=data, n=200)["pgd"].k
    assert evaluate_run(folder, replace(QUICK, **change), data=data, n=200)["pgd"].k != usual
    told = json.loads((folder / EVALUATION).read_text())["attack"]
    assert told.items() >= change.items()


def test_eps_of_zero_is_no_attack(run):
    folder, data = run
    accuracies = evaluate_run(folder, replace(QUICK, eps=0.0), data=data, n=100)
    assert accuracies["pgd"] == accuracies["natural"]


def test_a_linear_model_is_as_robust_as_can_be_computed():
    """PGD in l-infinity finds all there is: w'x changes by eps |w|_1 and no more."""
    torch.manual_seed(7)
    w = torch.randn(16)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(w - w.mean()))
    x = 0.3 + 0.4 * torch.rand(300, 1, 4, 4)  # no bound is reached
    score = x.flatten(1) @ (w - w.mean())
    y = (score > 0).long()
    robust = score.abs() > 0.02 * (w - w.mean()).abs().sum()
    attack = PGDAttack(steps=10, restarts=1, step_size=0.01, eps=0.02, norm="inf")
    found = [outcome.correct for outcome in evaluate(model, x, y, attack)[300:]]
    assert found == robust.int().tolist()
    assert 0 < sum(found) < 300


def test_an_image_that_fell_is_not_attacked_again(monkeypatch):
    attacked = []

    def pgd(model, x, y, **options):
        attacked.append(len(x))
        return torch.cat([torch.zeros_like(x[:1]), x[1:]])

    monkeypatch.setattr(module, "pgd", pgd)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(torch.ones(4)))
    x, y = torch.full((5, 1, 2, 2), 0.01), torch.tensor([1, 1, 1, 0, 0])
    attack = PGDAttack(restarts=5, eps=0.01, norm="inf")
    found = [outcome.correct for outcome in evaluate(model, x, y, attack)[5:]]
    assert attacked == [3, 2, 1]
    assert sum(found) == 0


def test_a_cheating_attack_is_not_believed(run, monkeypatch):
    folder, data = run
    monkeypatch.setattr(module, "pgd", lambda model, x, y, **options: 1 - x)
    with pytest.raises(ArithmeticError, match="went to a distance of 1"):
        evaluate_run(folder, QUICK, data=data, n=20)


@pytest.mark.parametrize("n", [0, -1, 601])
def test_n_out_of_range(run, n):
    folder, data = run
    with pytest.raises(ValueError, match=f"n must be from 1 to 600, the test images, got {n}"):
        evaluate_run(folder, QUICK, data=data, n=n)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"restarts": 0}, "restarts must be a whole number >= 1, got 0"),
        ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
        ({"eps": -1.0}, "eps must be"),
        ({"step_size": 0.0}, "step_size must be"),
    ],
)
def test_bad_options_of_the_attack(run, change, message):
    folder, data = run
    with pytest.raises(ValueError, match=message):
        evaluate_run(folder, replace(QUICK, **change), data=data, n=20)


def test_other_images_are_refused(run, few):
    with pytest.raises(ValueError, match="was made with other data"):
        evaluate_run(run[0], QUICK, data=few)


def test_images_from_memory_must_be_handed_over_again(run):
    with pytest.raises(ValueError, match="hand them over again"):
        evaluate_run(run[0], QUICK)


def test_summary_counts_by_attack(tmp_path):
    rows = [Outcome(0, 3, "natural", 3, 1), Outcome(1, 4, "natural", 4, 1),
            Outcome(0, 3, "pgd", 5, 0), Outcome(1, 4, "pgd", 4, 1)]  # fmt: skip
    assert summarise(rows) == {"natural": wilson(2, 2), "pgd": wilson(1, 2)}
    write_outcomes(tmp_path / "a.csv", rows[:1])
    assert (tmp_path / "a.csv").read_bytes() == (
        b"image,label,attack,prediction,correct\n0,3,natural,3,1\n"
    )


def test_bytes_and_floats_give_the_same(few):
    torch.manual_seed(2)
    model = build_model("capacity-1", (1, 28, 28), 10)
    attack = replace(QUICK, eps=0.1, norm="inf")
    as_bytes = evaluate(model, few.test_x, few.test_y, attack)
    assert evaluate(model, to_float(few.test_x), few.test_y, attack) == as_bytes
