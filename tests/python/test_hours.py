"""The time of an experiment, from passes through the network and from stored runs."""

import json
from dataclasses import replace

import pytest

from reproduced import train_here
from sense.config import recipe
from sense.evaluation.settings import Settings
from sense.reproduce import hours
from sense.reproduce.hours import attack_passes, estimate_cells, seconds_per_pass, training_passes
from sense.runs import read_metrics
from sense.sweep import Cell

SMALL = {"model": "capacity-1", "train_size": 100, "pretrain": 1, "epochs": 2, "monitor_size": 16}


def test_each_step_of_an_attack_is_a_pass_of_each_image():
    config = replace(recipe("mnist-demo"), train_size=1000, pretrain=2, epochs=3, steps=10)
    assert training_passes(replace(config, method="r-at")) == 1000 * (2 + 3 * 11)
    assert training_passes(replace(config, method="nt")) == 1000 * 5
    assert training_passes(replace(config, train_size=None, method="nt")) == 10_000 * 5


def test_passes_of_attacks():
    config = recipe("cifar10-cnn")
    pgd = Settings(attacks=("natural", "pgd"), steps=100, restarts=5, n=1000)
    assert attack_passes(pgd, config) == 1000 * 501
    assert attack_passes(replace(pgd, n=None), config) == 10_000 * 501
    traced = replace(pgd, attacks=("natural",), n=200, convergence=100)
    assert attack_passes(traced, config) == 200 + 100 * 500


def test_a_larger_network_takes_longer():
    small, large = (
        replace(recipe("mnist-demo"), model=model) for model in ("capacity-1", "small-cnn")
    )
    assert 0 < seconds_per_pass(small) < seconds_per_pass(large)


def test_a_stored_run_has_its_measured_time_and_others_like_it_the_same(tmp_path):
    evaluation = {"attacks": ["fgsm"], "n": 20, "diagnostics": False}

    def cell(**options):
        return Cell("mnist-demo", {**SMALL, **options}, [evaluation])

    cells = [cell(), cell(seed=2, c=0.3), cell(epochs=5), cell(model="capacity-2")]
    folder = train_here(cells[0], tmp_path)
    measured = sum(line["seconds"] for line in read_metrics(folder))
    own, like, longer, other = estimate_cells(cells, tmp_path)
    assert [one.how for one in (own, like, longer, other)] == [
        "measured",
        "about",
        "about",
        "at most",
    ]
    assert (own.training, like.training) == pytest.approx((measured, measured))
    assert longer.training == pytest.approx(2 * measured)  # 1 + 5 epochs in place of 1 + 2
    assert own.attacks == like.attacks > 0
    assert [one.done for one in (own, like, longer, other)] == [True, False, False, False]
    assert other.training > 0
    assert str(own).endswith("of attacks, done")


def test_a_network_of_the_stored_results_has_its_stored_time(tmp_path, monkeypatch):
    cell = Cell("mnist-demo", SMALL, [{"attacks": ["fgsm"], "n": 20}])
    times = {"seconds_training": 90.0, "seconds_attacks": 30.0}
    (tmp_path / "fig7-cpu.json").write_text("{}")
    (tmp_path / "fig7-cpu-cells.json").write_text(json.dumps({cell.name: times}))
    monkeypatch.setattr(hours, "stored_folder", lambda: tmp_path)
    (found,) = estimate_cells([cell], tmp_path / "runs")
    assert (found.training, found.attacks, found.how, found.done) == (90, 30, "stored", False)
