"""Recipes: the accuracies of one that is trained in full, and others on a few images."""

import json
from dataclasses import replace

import pytest
import torch

from conftest import ROOT
from sense.config import recipe
from sense.data import ImageData
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.runs import read_run
from sense.train import fit


@pytest.mark.parametrize(
    ("name", "model", "steps", "step_size"),
    [("cifar10-fast", "wrn-10-4-s2", 3, 4 / 255), ("cifar10-gpu", "preact-resnet18", 10, 2 / 255)],
)
@pytest.mark.parametrize("method", ["r-at", "sense"])
def test_recipes_for_a_given_time_train_on_all_of_cifar10(
    tmp_path, name, model, steps, step_size, method
):
    config = recipe(name)
    assert (config.dataset, config.train_size, config.method) == ("cifar10", None, "r-at")
    assert (config.model, config.steps, config.step_size) == (model, steps, step_size)
    assert (config.claimed_eps, config.schedule, config.lr) == (8 / 255, "one-cycle", 0.1)
    assert config.ema > 0
    torch.manual_seed(0)
    x, y = torch.rand(12, 3, 32, 32), torch.arange(12) % 10
    data = ImageData("few", x, y, x[:4], y[:4], tuple("0123456789"))
    changes = {"epochs": 1, "batch_size": 6, "monitor_size": 4, "threads": 1, "method": method}
    network = fit(replace(config, dataset="arrays", **changes), tmp_path / "run", data=data)
    assert torch.isfinite(network(x[:2])).all()
    assert read_run(tmp_path / "run")[0].epochs == 1


def test_the_network_of_cifar10_fast_is_the_best_of_those_that_were_tried():
    stored = json.loads((ROOT / "inst/extdata/cifar10-fast-networks.json").read_text())["networks"]
    config = recipe("cifar10-fast")
    for one in stored:
        assert (one["steps"], one["precision"]) == (config.steps, "bfloat16")
        assert (one["provenance"]["threads"], one["minutes"]) == (1, 15)
    for accuracy in ("natural", "robust"):
        assert max(stored, key=lambda one: one[accuracy])["network"] == config.model


@pytest.mark.slow
def test_the_demo_has_higher_natural_accuracy_with_sense_than_with_r_at(tmp_path):
    accuracies = {}
    for method in ("nt", "r-at", "sense"):
        fit(replace(recipe("mnist-demo"), method=method, seed=2), tmp_path / method)
        content = evaluate_run(tmp_path / method, Settings(steps=40, restarts=2, diagnostics=False))
        accuracies[method] = content["accuracy"]
    natural = {method: found["natural"]["k"] for method, found in accuracies.items()}
    robust = {method: found["pgd"] for method, found in accuracies.items()}
    assert natural["sense"] > natural["r-at"]
    assert robust["sense"]["lower"] > robust["nt"]["upper"] + 0.3
