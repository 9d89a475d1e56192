from pathlib import Path

import pytest
import torch

import sense
from conftest import ROOT
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.unused_options import unused_options


@pytest.mark.parametrize(
    ("options", "unused"),
    [
        (
            {"attacks": ("fgsm",), "restarts": 2},
            ["restarts has no effect without a"],
        ),
        ({"attacks": ("fgsm",), "step_size": 0.1, "diagnostics": False}, ["step_size has"]),
        ({"attacks": ("fgsm",), "steps": 7, "diagnostics": False}, ["steps has"]),
        ({"queries": 7, "diagnostics": False}, ["queries has no effect without square"]),
        ({"l2_eps": 3.0}, ["l2_eps has no effect without deepfool-l2"]),
        ({"source": Path("runs/s"), "source_model": "a:b"}, ["source has", "source_model has"]),
        ({"draw": 1}, ["draw has no effect without n"]),
        ({"convergence": 41}, ["convergence 41 is more than all 40 images"]),
    ],
)
def test_an_option_without_effect_is_named(options, unused):
    found = unused_options(Settings(**options), 40)
    assert len(found) == len(unused)
    assert all(text in note for text, note in zip(unused, found, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attacks": ("margin-pgd",), "steps": 7, "restarts": 2, "step_size": 0.1},
        {"attacks": ("fgsm",), "restarts": 2, "curve": (0.1,)},
        {"attacks": ("fgsm",), "restarts": 2, "convergence": 40},
        {"attacks": ("fgsm",), "steps": 7, "queries": 7},  # the diagnostics use them
        {"attacks": ("square", "deepfool-l2"), "queries": 7, "l2_eps": 1.0, "n": 40, "draw": 1},
        {"attacks": ("transfer",), "source": Path("a"), "source_model": "a:b"},
    ],
)
def test_options_that_are_used_are_not_named(options):
    assert unused_options(Settings(**options), 40) == []


def test_it_is_said_before_the_table(tmp_path):
    run, lines = ROOT / "inst/extdata/mnist-demo/nt", []
    evaluate_run(
        run, Settings(attacks=("fgsm",), l2_eps=1.0, n=8), out=tmp_path, on_line=lines.append
    )
    assert lines[0] == "note: l2_eps has no effect without deepfool-l2"
    x, y = torch.rand(40, 1, 28, 28), torch.arange(40) % 10
    found = sense.evaluate(run, x, y, attacks=["fgsm"], queries=7)
    assert "note: queries has no effect without square" in str(found)
