import re

import pytest

from sense.evaluation.summary import plain_accuracy
from sense.evaluation.tables import attack_row, comparison_lines, diagnostics_lines, footer, header
from sense.statistics import wilson


@pytest.fixture
def content():
    accuracy = {"natural": wilson(97, 100), "pgd": wilson(50, 100), "worst": wilson(50, 100)}
    return {
        "target": {"name": "sense", "model": "capacity-3"},
        "data": {"name": "mnist-sample", "n": 100, "of": 2000, "draw": None},
        "options": {"eps": 0.3, "norm": "inf", "cascade": False},
        "attacks": {
            "natural": {"label": "natural", "attacked": 0, "seconds": 0.24},
            "pgd": {
                "label": "PGD-100 x 5",
                "eps": 0.3,
                "norm": "inf",
                "attacked": 97,
                "seconds": 12.0,
            },
        },
        "accuracy": {name: plain_accuracy(p) for name, p in accuracy.items()},
        "diagnostics": {
            "images": 64,
            "seconds": 1.25,
            "checks": [
                {"check": "randomness", "verdict": "ok", "text": "the same"},
                {"check": "one-step", "verdict": "warning", "text": "one step is better"},
                {"check": "convergence", "verdict": "skipped", "text": "no PGD"},
            ],
        },
    }


def test_the_header_has_target_images_and_ball(content):
    assert header(content).splitlines()[0] == (
        "sense (capacity-3) on mnist-sample, the first 100 of 2000 test images; l-infinity ball of "
        "radius 0.3"
    )
    content["data"]["draw"] = 7
    assert "drawn with seed 7: 100 of 2000" in header(content)


def test_a_row_has_counts_and_both_intervals(content):
    row = re.sub(" +", " ", attack_row("pgd", content))
    assert row == "PGD-100 x 5 50.0 % [40.4, 59.6] (50 / 100) [39.8, 60.2] 12.0"
    assert attack_row("worst", content).split()[:4] == ["worst", "attack", "per", "image"]
    content["attacks"]["pgd"]["seconds"] = None  # of results stored before it was measured
    assert attack_row("pgd", content).endswith("[39.8, 60.2]")


def test_a_row_states_a_cascade_and_another_ball(content):
    content["options"]["cascade"] = True
    assert "PGD-100 x 5, on 97 left" in attack_row("pgd", content)
    assert "all above it (--cascade)" in footer(content)
    content["options"]["cascade"] = False
    content["attacks"]["pgd"].update(norm="2", eps=1.5)
    assert attack_row("pgd", content).startswith("PGD-100 x 5, eps 1.5 ")


def test_the_footer_has_warnings_and_names_stronger_attacks(content):
    lines = footer(content).splitlines()
    assert lines[0].startswith("worst attack per image")
    assert lines[1] == (
        "Diagnostics used extra forward passes on 64 images (1.2 s): 1 warning, 1 check passed, "
        "1 skipped."
    )
    assert lines[2] == "  WARNING one-step: one step is better."
    assert lines[3].startswith("Accuracy under an attack is an upper bound of robust accuracy. ")
    assert "--attacks pgd autoattack" in lines[3]
    content["attacks"]["autoattack"] = {}
    assert "autoattack" not in footer(content)


def test_a_missing_diagnostic_report_is_stated():
    assert diagnostics_lines(None) == ["There are no diagnostics (--no-diagnostics)."]


def test_a_comparison_has_a_line_per_pair_and_per_group_of_seeds():
    pair = {
        "attack": "pgd",
        "first": "nt",
        "second": "sense",
        "n": 100,
        "both": 1,
        "only_first": 2,
        "only_second": 30,
        "neither": 67,
        "p": 1.2e-7,
        "p_holm": 2.4e-7,
    }
    seeds = {
        "group": "sense, capacity-1",
        "attack": "pgd",
        "models": ["a", "b"],
        "mean": 0.5,
        "sd": 0.01,
    }
    _, row, spread = comparison_lines({"pairs": [pair], "seeds": [seeds], "apart": []})
    assert re.sub(" +", " ", row) == "nt - sense pgd 1 2 30 67 1.2e-07, 2.4e-07"
    assert "50.0 % +- 1.0 (sd of 2 seeds)" in spread
