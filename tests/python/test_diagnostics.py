"""Each check of the network warns for a network with that fault, and not for one without; and all
checks together."""

import re

import pytest
import torch

from conftest import ROOT
from defences import Blocked, Noisy, Quantised, Saturated, Softmax, Stepped
from diagnosed import FEW, evidence, evidence_of_outcomes, honest_network
from sense.evaluation import attack_diagnostics, diagnostics
from sense.evaluation.diagnostics import (
    chance,
    large_eps,
    one_class,
    probabilities,
    randomness,
    run_diagnostics,
    zero_gradients,
)
from sense.evaluation.evidence import MINIMUM, SUBSET
from sense.evaluation.runner import predict

NAMES = [
    "chance",
    "one-class",
    "randomness",
    "probabilities",
    "zero-gradients",
    "large-eps",
    "one-step",
    "gradient-free",
    "convergence",
    "stronger-attack",
]
FAULTS = {
    "randomness": (randomness, Noisy),
    "probabilities": (probabilities, Softmax),
    "zero gradients: levels": (zero_gradients, Quantised),
    "zero gradients: steps": (zero_gradients, Stepped),
    "zero gradients: logits": (zero_gradients, Saturated),
    "large eps: levels": (large_eps, Quantised),
    "large eps: logits": (large_eps, Saturated),
}


@pytest.fixture(scope="module")
def honest(trained):
    return honest_network(trained)


@pytest.mark.parametrize("which", FAULTS)
def test_a_fault_is_warned_of_and_the_honest_network_is_not(honest, which):
    check, defence = FAULTS[which]
    result = check(evidence(defence(honest[0]), honest))
    assert result.verdict == "warning", result
    assert result.value > result.threshold
    fine = check(evidence(honest[0], honest))
    assert fine.verdict == "ok", fine
    assert fine.value <= fine.threshold
    assert result.text != fine.text


def test_the_defences_hide_weakness_and_change_few_predictions(honest):
    model, x, y = honest
    plain = evidence(model, honest, "pgd").correct["pgd"].float().mean()
    for defence in (Quantised, Saturated, Stepped):
        assert (predict(defence(model), x) == y).float().mean() > 0.7
        hidden = evidence(defence(model), honest, "pgd").correct["pgd"].float().mean()
        assert hidden > plain + 0.1


def test_a_network_without_gradients_is_warned_of(honest):
    result = zero_gradients(evidence(Blocked(honest[0]), honest))
    assert (result.verdict, result.value) == ("warning", 1.0)
    assert "has no gradients" in result.text


@pytest.mark.parametrize("n", [1, 3, MINIMUM - 1])
@pytest.mark.parametrize("check", [chance, one_class, zero_gradients, large_eps])
def test_checks_are_skipped_on_a_few_images(honest, check, n):
    result = check(evidence(Quantised(honest[0]), honest, n=n))
    assert (result.verdict, result.value, result.threshold) == ("skipped", None, None)
    assert f"{n} images" in result.text


@pytest.mark.parametrize(
    ("correct", "verdict"), [(10, "warning"), (14, "warning"), (18, "ok"), (90, "ok")]
)
def test_ten_of_a_hundred_correct_is_chance_for_ten_classes(correct, verdict):
    """P(X >= 17) of 100 draws with probability 0.1 is 0.0206, P(X >= 16) 0.0399."""
    result = chance(evidence_of_outcomes({"natural": [1] * correct + [0] * (100 - correct)}))
    assert result.verdict == verdict
    counts = (
        f"{correct} of 100 images are correctly classified, and 10 have the most frequent label"
    )
    assert counts in result.text


def test_chance_is_the_share_of_the_most_frequent_label():
    labels = torch.tensor([0] * 90 + [1] * 10)

    def result(correct, labels=labels):
        outcomes = {"natural": [1] * correct + [0] * (100 - correct)}
        return chance(evidence_of_outcomes(outcomes, labels))

    assert result(90).verdict == "warning"
    assert result(98).verdict == "ok"
    same = result(50, 0 * labels)
    assert (same.verdict, same.text) == ("skipped", "all images have the same label")


@pytest.mark.parametrize(("of_one", "verdict"), [(100, "warning"), (90, "warning"), (80, "ok")])
def test_a_network_that_predicts_one_class_has_collapsed(of_one, verdict):
    labels = torch.arange(100) % 10
    predictions = torch.where(torch.arange(100) < of_one, 3, labels)
    outcomes = {"natural": (predictions == labels).tolist()}
    result = one_class(evidence_of_outcomes(outcomes, labels, predictions))
    assert result.verdict == verdict
    n = int((predictions == 3).sum())
    assert f"class 3 is predicted for {n} of 100 images" in result.text


def test_one_class_is_skipped_if_most_images_have_one_label():
    labels = torch.tensor([3] * 90 + [1] * 10)
    outcomes = {"natural": [1] * 90 + [0] * 10}
    result = one_class(evidence_of_outcomes(outcomes, labels, 0 * labels + 3))
    assert (result.verdict, result.text) == ("skipped", "most images have the same label")


def results_of(report, verdict):
    return [check["check"] for check in report["checks"] if check["verdict"] == verdict]


def test_every_check_runs_once_and_finds_the_faults(honest):
    faulty = evidence(Noisy(Saturated(honest[0])), honest, "pgd", n=FEW, queries=20)
    report = run_diagnostics(faulty)
    assert [check["check"] for check in report["checks"]] == NAMES
    warnings = results_of(report, "warning")
    assert {"randomness", "zero-gradients"} <= set(warnings)
    assert "probabilities" not in warnings
    assert report["images"] == FEW
    assert report["seconds"] > 0
    assert set(report["checks"][0]) == {"check", "verdict", "value", "threshold", "text"}


class Constant(torch.nn.Module):
    """Predicts one class, like a collapsed network; its gradients are zero."""

    def forward(self, x):
        return torch.arange(10.0, 0.0, -1.0).expand(len(x), 10) + 0 * x.sum()


def test_for_a_collapsed_network_the_checks_of_attacks_are_skipped():
    labels = torch.arange(100) % 10
    correct = (labels == 0).tolist()
    collapsed = evidence_of_outcomes(
        {"natural": correct, "pgd": correct},
        labels,
        0 * labels,
        model=Constant(),
        x=torch.rand(100, 1, 4, 4),
    )
    report = run_diagnostics(collapsed)
    assert results_of(report, "warning") == ["chance", "one-class"]
    assert results_of(report, "skipped") == NAMES[4:]
    texts = {check["text"] for check in report["checks"] if check["verdict"] == "skipped"}
    assert texts == {"the network itself is at fault (chance)"}


def test_if_no_image_is_correct_chance_alone_is_a_warning(honest):
    model, x, y = honest
    wrong = evidence_of_outcomes({"natural": [0] * len(y)}, (y + 1) % 10, y, model=model, x=x)
    report = run_diagnostics(wrong)
    assert results_of(report, "warning") == ["chance"]
    assert report["images"] == 0


@pytest.mark.parametrize("n", [1, 3])
def test_on_a_few_images_only_the_output_is_checked(honest, n):
    report = run_diagnostics(evidence(honest[0], honest, "pgd", n=n))
    assert results_of(report, "ok") == ["randomness", "probabilities"]
    assert len(results_of(report, "skipped")) == len(NAMES) - 2


def test_thresholds_are_those_of_autoattack():
    """checks.py of fra31/auto-attack: alpha = 1e-4, any point, .002."""
    assert diagnostics.RELATIVE_NOISE == 1e-4
    assert diagnostics.ZERO_GRADIENTS == 0
    assert attack_diagnostics.GRADIENT_FREE == 0.002


def test_the_documentation_has_the_thresholds():
    text = (ROOT / "docs/evaluation.md").read_text()
    shown = re.findall(r"^\| `([a-z-]+)` \| .* \| ([\d.]+) \|$", text, re.MULTILINE)
    assert {name: float(value) for name, value in shown} == {
        "chance": pytest.approx(diagnostics.CHANCE),
        "one-class": diagnostics.ONE_CLASS,
        "randomness": diagnostics.RELATIVE_NOISE,
        "probabilities": diagnostics.PROBABILITIES,
        "zero-gradients": diagnostics.ZERO_GRADIENTS,
        "large-eps": diagnostics.LARGE_EPS,
        "one-step": attack_diagnostics.ONE_STEP,
        "gradient-free": attack_diagnostics.GRADIENT_FREE,
        "convergence": attack_diagnostics.CONVERGENCE_SHARE,
        "stronger-attack": attack_diagnostics.STRONGER_ATTACK,
    }
    words = " ".join(text.split())
    for stated in (
        f"the first {SUBSET} images that are correctly classified without attack",
        f"fewer than {MINIMUM} images",
        f"{diagnostics.PASSES} forward passes",
        f"{diagnostics.STEPS} steps of PGD (`large-eps`)",
        f"{attack_diagnostics.QUERIES:,} queries",
        f"{attack_diagnostics.TARGET_STEPS} steps towards",
        f"at most {attack_diagnostics.MAX_FOR_AUTOATTACK} images",
        f"increases by more than {attack_diagnostics.LOSS_INCREASE}",
    ):
        assert stated in words, stated
