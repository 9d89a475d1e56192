"""What the recipes claim, trained in full."""

from dataclasses import replace

import pytest

from sense.config import recipe
from sense.evaluate import PGDAttack, evaluate_run
from sense.train import fit


@pytest.mark.slow
def test_the_demo_shows_what_sensible_training_is_for(tmp_path):
    accuracies = {}
    for method in ("nt", "r-at", "sense"):
        fit(replace(recipe("mnist-demo"), method=method, seed=2), tmp_path / method)
        accuracies[method] = evaluate_run(tmp_path / method, PGDAttack(steps=40, restarts=2))
    natural = {method: pair["natural"].estimate for method, pair in accuracies.items()}
    robust = {method: pair["pgd"] for method, pair in accuracies.items()}
    assert natural["sense"] > natural["r-at"]
    assert robust["sense"].lower > robust["nt"].upper + 0.3
