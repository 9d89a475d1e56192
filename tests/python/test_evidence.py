"""From counts of images to verdicts: intervals, denominators, and the minimum number of images."""

import pytest
import torch

from diagnosed import evidence_of_outcomes
from sense.evaluation.batch_size import BatchSize
from sense.evaluation.evidence import (
    MINIMUM,
    SUBSET,
    Evidence,
    Sample,
    check_share,
    check_value,
)
from sense.evaluation.outcomes import Record
from sense.evaluation.runner import NO_ATTACK, build_attacks, evaluated_images, run_attack
from sense.evaluation.settings import Settings
from sense.runs import load
from sense.statistics import binomial_p_value, clopper_pearson


@pytest.mark.parametrize("threshold", [0.002, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("n", [30, 128, 1000])
def test_a_share_warns_if_the_exact_test_rejects_the_threshold(n, threshold):
    for k in range(min(n, int(3 * threshold * n) + 12) + 1):
        result = check_share("x", k, Sample(n, 1.0), threshold, "warned", "fine")
        p = 1.0 if k == 0 else binomial_p_value(k, n, threshold)
        assert (result.verdict == "warning") == (p < 0.025)
        assert result.text == ("warned" if p < 0.025 else "fine")
        assert (result.value, result.threshold) == (k / n, threshold)


@pytest.mark.parametrize("n", range(MINIMUM))
def test_a_share_of_too_few_images_is_skipped(n):
    result = check_share("x", n, Sample(n, 1.0), 0.01, "warned", "fine")
    assert (result.verdict, result.value, result.threshold) == ("skipped", None, None)
    assert f"{n} images" in result.text
    assert f"at least {MINIMUM} are needed" in result.text


def test_a_share_of_correct_images_becomes_a_share_of_all_images():
    """15 of 64 correctly classified images, with natural accuracy 40.6 %: 9.5 points, not 23.4."""
    sample = Sample(64, 0.406)
    exact = clopper_pearson(15, 64)
    assert sample.share(15) == pytest.approx(
        (0.406 * 15 / 64, 0.406 * exact.lower, 0.406 * exact.upper)
    )
    assert sample.points(15).startswith("9.5 points [5.6, 14.5] of the accuracy on all images")
    assert Sample(64, 1.0).points(15).startswith("23.4 points ")


def test_the_threshold_is_compared_with_the_share_of_all_images():
    assert check_share("x", 15, Sample(64, 0.406), 0.05, "", "").verdict == "warning"
    assert check_share("x", 15, Sample(64, 0.406), 0.06, "", "").verdict == "ok"
    assert check_share("x", 15, Sample(64, 1.0), 0.06, "", "").verdict == "warning"


def test_a_value_warns_only_above_its_threshold():
    assert check_value("x", 0.5, 0.5, "warned", "fine").verdict == "ok"
    assert check_value("x", 0.51, 0.5, "warned", "fine").text == "warned"


def test_extra_passes_use_the_first_correct_images(trained):
    folder, data = trained
    n, model = 200, load(folder)
    settings = Settings(eps=0.05, steps=5, restarts=1).complete(None, None)
    images = evaluated_images(range(n), data.test_x, data.test_y, torch.device("cpu"))
    record = Record(range(n), data.test_y[:n].tolist())
    for attack in (NO_ATTACK, *build_attacks(settings)):
        list(run_attack(attack, model, images, settings, record, BatchSize(80)))
    evidence = Evidence.of(model, images, settings, record)
    correct = record.correct()
    positions = correct["natural"].nonzero().squeeze(1)
    assert torch.equal(evidence.subset, positions[:SUBSET])
    assert torch.equal(evidence.y, data.test_y[positions[:SUBSET]])
    assert torch.equal(evidence.x, data.test_x[positions[:SUBSET]].float() / 255)
    assert torch.equal(evidence.correct_in_subset(["pgd"]), correct["pgd"][positions[:SUBSET]])
    natural_accuracy = pytest.approx(len(positions) / n)
    assert evidence.subset_sample == Sample(min(len(positions), SUBSET), natural_accuracy)
    assert evidence.all_sample == Sample(n, 1.0)
    assert torch.equal(evidence.first_images, data.test_x[:SUBSET].float() / 255)
    assert evidence.predictions.tolist() == record.predictions["natural"]


def test_the_order_of_attacks_is_known():
    evidence = evidence_of_outcomes(
        {"natural": [1, 1, 0, 1], "pgd": [1, 0, 0, 1], "square": [0, 1, 0, 1]}
    )
    assert evidence.correct_in_subset(["pgd"]).tolist() == [True, False, True]
    assert evidence.ran_before(["pgd"], ["square"])
    assert not evidence.ran_before(["square"], ["pgd"])
