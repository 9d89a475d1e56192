"""Each check of the attacks warns for an evaluation with that fault, and not for one without."""

from dataclasses import replace

import pytest

from defences import Quantised, Rippled, Saturated
from diagnosed import FEW, N, evidence, evidence_of_outcomes, honest_network
from sense.attacks import autoattack_with_verdicts
from sense.evaluation import attack_diagnostics
from sense.evaluation.attack_diagnostics import (
    ATTACK_CHECKS,
    convergence,
    gradient_free,
    one_step,
    stronger_attack,
)
from sense.evaluation.evidence import MINIMUM, check_share
from sense.evaluation.outcomes import CorrectMatrix

FAULTS = {
    "one step, in the evaluation": (one_step, Rippled, ("fgsm", "pgd"), {}),
    "one step, extra": (one_step, Rippled, ("pgd",), {}),
    "gradient-free, in the evaluation": (gradient_free, Quantised, ("pgd", "square"), {}),
    "gradient-free, extra": (gradient_free, Quantised, ("pgd",), {}),
    "convergence": (convergence, None, ("pgd",), {"steps": 3, "step_size": 0.01}),
    "stronger, in the evaluation": (stronger_attack, Saturated, ("pgd", "margin-pgd"), {}),
    "stronger, extra": (stronger_attack, None, ("pgd",), {"steps": 1, "step_size": 0.001}),
}


@pytest.fixture(autouse=True)
def _only_fast_parts(monkeypatch):
    """The slowest parts of AutoAttack are not needed here."""
    monkeypatch.setattr(attack_diagnostics, "GRADIENT_PARTS", attack_diagnostics.APGD)
    monkeypatch.setattr(attack_diagnostics, "APGD", ("apgd-ce",))


@pytest.fixture(scope="module")
def honest(trained):
    return honest_network(trained)


@pytest.mark.parametrize("which", FAULTS)
def test_a_fault_is_warned_of_and_the_honest_network_is_not(honest, which):
    check, defence, attacks, options = FAULTS[which]
    if check is gradient_free:
        pytest.importorskip("pyautoattack")
    model = honest[0]
    network = defence(model) if defence else model
    result = check(evidence(network, honest, *attacks, **options, n=FEW if defence else N))
    assert result.verdict == "warning", result
    assert result.value > result.threshold
    fine = check(
        evidence(model, honest, *attacks, n=FEW)
        if defence
        else evidence(model, honest, "pgd", eps=0.05, steps=30)
    )
    assert fine.verdict == "ok", fine
    assert result.text != fine.text


def test_images_that_autoattack_breaks_by_gradient_do_not_count_as_masking(honest):
    """PGD cannot move where logits are saturated: Square breaks what it leaves, and APGD does."""
    pytest.importorskip("pyautoattack")
    hidden = evidence(Saturated(honest[0]), honest, "pgd", "square", n=FEW, eps=0.2)
    broken = hidden.correct["pgd"] & ~hidden.correct["square"]
    assert int(broken.sum()) > 5
    by_gradient = autoattack_with_verdicts(
        hidden.model, hidden.x[broken], hidden.y[broken], eps=0.2, parts=("apgd-ce", "apgd-t")
    )
    assert None not in by_gradient.broken_by
    result = gradient_free(hidden)
    assert (result.verdict, result.value) == ("ok", 0.0)
    assert "0 of these are correctly classified under AutoAttack's APGD and FAB" in result.text


def test_the_share_is_of_the_images_up_to_the_last_one_given_to_autoattack(honest, monkeypatch):
    pytest.importorskip("pyautoattack")
    monkeypatch.setattr(attack_diagnostics, "MAX_FOR_AUTOATTACK", 4)
    hidden = evidence(Quantised(honest[0]), honest, "pgd", "square")
    broken = (hidden.correct["pgd"] & ~hidden.correct["square"]).nonzero().squeeze(1)
    assert len(broken) > 4
    end = int(broken[3]) + 1
    result = gradient_free(hidden)
    before = int(hidden.correct["pgd"][:end].sum())
    assert f"of {before} images" in result.text
    assert "4 are misclassified under Square" in result.text
    left = round(result.value * end)
    assert 0 <= left <= 4
    assert result.value == pytest.approx(left / end)


def test_a_share_of_the_subset_is_given_in_points_of_all_images():
    """30 of 60 correctly classified images, of 240 evaluated: 12.5 points, not 50."""
    some = evidence_of_outcomes({"natural": [1] * 60 + [0] * 180})
    result = check_share("x", 30, some.subset_sample, 0.01, some.subset_sample.points(30), "")
    assert result.value == pytest.approx(0.125)
    assert result.text.startswith("12.5 points [")


def test_the_text_has_the_counts_and_the_points_of_all_images():
    """63 of the 1231 of 2000 images that are correct under PGD: 3.1 points."""
    natural = [1] * 1893 + [0] * 107
    pgd, auto = [1] * 1231 + [0] * 769, [1] * 1168 + [0] * 832
    outcomes = {"natural": natural, "pgd": pgd, "autoattack": auto}
    result = stronger_attack(evidence_of_outcomes(outcomes))
    assert result.verdict == "warning"
    assert result.value == pytest.approx(63 / 2000)
    assert result.text == (
        "of 1231 images that are correctly classified under PGD, 63 are misclassified under "
        "autoattack: PGD overestimates robust accuracy by at least 3.1 points [2.4, 4.0] of the "
        "accuracy on all images"
    )


def test_a_skipped_check_gives_the_reason(honest):
    nothing = evidence(honest[0], honest)
    for check in ATTACK_CHECKS:
        result = check(nothing)
        assert (result.verdict, result.value, result.threshold) == ("skipped", None, None)
        assert "was not run" in result.text or "was run" in result.text


@pytest.mark.parametrize("n", [1, 3, MINIMUM - 1])
@pytest.mark.parametrize("attacks", [("pgd",), ("fgsm", "pgd", "margin-pgd", "square")])
def test_checks_are_skipped_on_a_few_images(honest, n, attacks):
    few = evidence(Saturated(honest[0]), honest, *attacks, n=n, queries=20)
    for check in ATTACK_CHECKS:
        result = check(few)
        assert (result.verdict, result.value) == ("skipped", None), result
        assert int(result.text.split()[0]) <= n


def test_convergence_is_ok_if_pgd_breaks_every_image(honest):
    lost = evidence(honest[0], honest, "pgd", eps=0.9)
    assert not lost.correct["pgd"].any()
    assert convergence(lost).text == "no image is correctly classified under PGD"


@pytest.mark.parametrize(
    ("check", "attacks"),
    [
        (one_step, ("fgsm", "pgd")),
        (gradient_free, ("square", "pgd")),
        (stronger_attack, ("margin-pgd", "pgd")),
    ],
)
def test_a_cascade_in_the_wrong_order_is_skipped(honest, check, attacks):
    """The second attack did not see the images that the first one broke."""
    some = evidence(honest[0], honest, "pgd", cascade=True)

    def in_order(names):
        columns = {"natural": some.correct["natural"]}
        columns |= {name: some.correct["pgd"] for name in names}
        matrix = CorrectMatrix(some.correct.images, some.correct.labels, columns)
        return replace(some, correct=matrix)

    assert check(in_order(attacks)).verdict == "skipped"
    assert check(in_order(attacks[::-1])).verdict == "ok"


def test_without_pyautoattack_targeted_pgd_is_the_stronger_attack(honest, monkeypatch):
    monkeypatch.setattr(attack_diagnostics, "has_pyautoattack", lambda: False)
    hidden = evidence(Saturated(honest[0]), honest, "pgd")
    assert "misclassified under targeted PGD" in stronger_attack(hidden).text
    assert "needs the package" in gradient_free(hidden).text
