"""Each warning of the network itself has one that deserves it, and one that does not."""

import re

import pytest
import torch

from conftest import ROOT
from defences import Blocked, Noisy, Quantised, Saturated, Softmax, Stepped
from diagnosed import N, case, honest_network, told
from sense.evaluation import attack_diagnostics as attack_signs
from sense.evaluation import diagnostics as signs
from sense.evaluation.case import FEWEST, IMAGES
from sense.evaluation.runner import predict


@pytest.fixture(scope="module")
def honest(trained):
    return honest_network(trained)


DESERVED = {
    "randomness": (signs.randomness, Noisy),
    "probabilities": (signs.probabilities, Softmax),
    "zero gradients: levels": (signs.zero_gradients, Quantised),
    "zero gradients: steps": (signs.zero_gradients, Stepped),
    "zero gradients: logits": (signs.zero_gradients, Saturated),
    "large eps: levels": (signs.large_eps, Quantised),
    "large eps: logits": (signs.large_eps, Saturated),
}


@pytest.mark.parametrize("which", DESERVED)
def test_who_deserves_it_is_warned_and_the_honest_network_is_not(honest, which):
    check, defence = DESERVED[which]
    found = check(case(defence(honest[0]), honest))
    assert found.verdict == "warning", found
    assert found.value > found.threshold
    fine = check(case(honest[0], honest))
    assert fine.verdict == "ok", fine
    assert fine.value <= fine.threshold
    assert found.text != fine.text


def test_the_defences_change_hardly_any_prediction(honest):
    model, x, y = honest
    for defence in (Quantised, Saturated, Stepped):
        assert (predict(defence(model), x) == y).float().mean() > 0.7
        hidden = case(defence(model), honest, "pgd").right["pgd"].float().mean()
        assert hidden > case(model, honest, "pgd").right["pgd"].float().mean() + 0.1


def test_a_network_without_gradients_is_told(honest):
    found = signs.zero_gradients(case(Blocked(honest[0]), honest))
    assert (found.verdict, found.value) == ("warning", 1.0)
    assert "no gradients at all" in found.text


@pytest.mark.parametrize("n", [1, 3, FEWEST - 1])
@pytest.mark.parametrize(
    "check", [signs.chance, signs.one_class, signs.zero_gradients, signs.large_eps]
)
def test_a_few_images_are_skipped(honest, check, n):
    found = check(case(Quantised(honest[0]), honest, n=n))
    assert (found.verdict, found.value, found.threshold) == ("skipped", None, None)
    assert f"{n} images" in found.text


@pytest.mark.parametrize(
    ("right", "verdict"), [(10, "warning"), (14, "warning"), (18, "ok"), (90, "ok")]
)
def test_ten_of_a_hundred_are_chance_where_labels_are_ten(right, verdict):
    """P(X >= 17) of 100 draws with probability 0.1 is 0.0206, P(X >= 16) 0.0399."""
    found = signs.chance(told({"natural": [1] * right + [0] * (100 - right)}))
    assert found.verdict == verdict
    assert f"{right} of 100 images are right, 10 by the most frequent label" in found.text


def test_chance_is_that_of_the_most_frequent_label():
    labels = torch.tensor([0] * 90 + [1] * 10)
    assert signs.chance(told({"natural": [1] * 90 + [0] * 10}, labels)).verdict == "warning"
    assert signs.chance(told({"natural": [1] * 98 + [0] * 2}, labels)).verdict == "ok"
    same = signs.chance(told({"natural": [1] * 50 + [0] * 50}, 0 * labels))
    assert (same.verdict, same.text) == ("skipped", "all images have the same label")


@pytest.mark.parametrize(("of_one", "verdict"), [(100, "warning"), (90, "warning"), (80, "ok")])
def test_a_network_that_says_one_class_of_nearly_all_has_collapsed(of_one, verdict):
    labels = torch.arange(100) % 10
    guesses = torch.where(torch.arange(100) < of_one, 3, labels)
    found = signs.one_class(told({"natural": (guesses == labels).tolist()}, labels, guesses))
    assert found.verdict == verdict
    assert f"class 3 is predicted for {int((guesses == 3).sum())} of 100 images" in found.text


def test_one_class_for_images_of_one_class_is_no_collapse():
    labels = torch.tensor([3] * 90 + [1] * 10)
    found = signs.one_class(told({"natural": [1] * 90 + [0] * 10}, labels, 0 * labels + 3))
    assert (found.verdict, found.text) == ("skipped", "most images have the same label")


def test_thresholds_are_those_of_autoattack():
    """checks.py of fra31/auto-attack: alpha = 1e-4, 1e-5, any point, .002."""
    assert signs.LOGITS_DIFFER == 1e-4
    assert signs.MIN_SLOPE == 0
    assert attack_signs.NO_GRADIENT_BETTER == 0.002


def test_the_thresholds_shown_are_those_used():
    text = (ROOT / "docs/evaluation.md").read_text()
    shown = re.findall(r"^\| `([a-z-]+)` \| .* \| ([\d.]+) \|$", text, re.MULTILINE)
    assert {name: float(value) for name, value in shown} == {
        "chance": pytest.approx(signs.CHANCE),
        "one-class": signs.ONE_CLASS,
        "randomness": signs.LOGITS_DIFFER,
        "probabilities": signs.PROBABLE,
        "zero-gradients": signs.MIN_SLOPE,
        "large-eps": signs.RIGHT_AT_LARGE_EPS,
        "one-step": attack_signs.ONE_STEP_BETTER,
        "gradient-free": attack_signs.NO_GRADIENT_BETTER,
        "convergence": attack_signs.RISING,
        "stronger-attack": attack_signs.STRONGER_BETTER,
    }
    words = " ".join(text.split())
    for said in (
        f"first {IMAGES} images that are naturally right",
        f"fewer than {FEWEST} images",
        f"{signs.PASSES} passes",
        f"{signs.STEPS} steps of PGD (`large-eps`)",
        f"{attack_signs.QUERIES:,} queries",
        f"{attack_signs.TARGET_STEPS} steps towards",
        f"at most {attack_signs.BEYOND} images",
        f"rises by more than {attack_signs.LOSS_RISES}",
    ):
        assert said in words, said
    assert N >= FEWEST
