"""The accuracies of recipes, trained in full."""

from dataclasses import replace

import pytest

from sense.config import recipe
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.train import fit


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
