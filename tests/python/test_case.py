"""From counts of images to verdicts: intervals, denominators, and the least number of images."""

import pytest
import torch

from diagnosed import told
from sense.evaluation.batches import attack_batches, cut
from sense.evaluation.case import FEWEST, IMAGES, Case, Looked, check_share, check_value
from sense.evaluation.outcomes import Record
from sense.evaluation.runner import NATURAL, build_suite
from sense.evaluation.settings import Settings
from sense.runs import load_model
from sense.statistics import binomial_p_value, clopper_pearson


@pytest.mark.parametrize("threshold", [0.002, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("n", [30, 128, 1000])
def test_a_share_warns_where_the_exact_test_rejects_that_it_is_at_most_the_threshold(n, threshold):
    for k in range(min(n, int(3 * threshold * n) + 12) + 1):
        found = check_share("x", k, Looked(n, 1.0), threshold, "warned", "fine")
        p = 1.0 if k == 0 else binomial_p_value(k, n, threshold)
        assert (found.verdict == "warning") == (p < 0.025)
        assert found.text == ("warned" if p < 0.025 else "fine")
        assert (found.value, found.threshold) == (k / n, threshold)


@pytest.mark.parametrize("n", range(FEWEST))
def test_on_too_few_images_nothing_is_said_however_clear(n):
    found = check_share("x", n, Looked(n, 1.0), 0.01, "warned", "fine")
    assert (found.verdict, found.value, found.threshold) == ("skipped", None, None)
    assert f"{n} images" in found.text
    assert f"{FEWEST} are needed" in found.text


def test_a_share_of_images_that_are_right_is_no_share_of_all():
    """15 of 64 naturally right images, where 40.6 % are right: 9.5 points, not 23.4."""
    looked = Looked(64, 0.406)
    exact = clopper_pearson(15, 64)
    assert looked.share(15) == pytest.approx(
        (0.406 * 15 / 64, 0.406 * exact.lower, 0.406 * exact.upper)
    )
    assert looked.points(15).startswith("9.5 points [5.6, 14.5] of the accuracy over all images")
    assert Looked(64, 1.0).points(15).startswith("23.4 points ")


def test_the_threshold_is_of_all_images_too():
    assert check_share("x", 15, Looked(64, 0.406), 0.05, "", "").verdict == "warning"
    assert check_share("x", 15, Looked(64, 0.406), 0.06, "", "").verdict == "ok"
    assert check_share("x", 15, Looked(64, 1.0), 0.06, "", "").verdict == "warning"


def test_a_measured_value_warns_above_its_threshold_alone():
    assert check_value("x", 0.5, 0.5, "warned", "fine").verdict == "ok"
    assert check_value("x", 0.51, 0.5, "warned", "fine").text == "warned"


def test_the_images_judged_are_the_first_that_are_naturally_right(trained):
    folder, data = trained
    n, model = 200, load_model(folder)
    settings = Settings(eps=0.05, steps=5, restarts=1, batch=80).complete(None, None)
    batches = cut(range(n), data.test_x, data.test_y, 80, torch.device("cpu"))
    record = Record(range(n), data.test_y[:n].tolist(), 80)
    for attack in (NATURAL, *build_suite(settings)):
        list(attack_batches(attack, model, batches, settings, record))
    case = Case.of(model, batches, settings, record)
    right = [i for i, fine in enumerate(record.standing(["natural"])) if fine]
    assert case.where.tolist() == right[:IMAGES]
    assert torch.equal(case.y, data.test_y[right[:IMAGES]])
    assert torch.equal(case.x, data.test_x[right[:IMAGES]].float() / 255)
    assert case.right["pgd"].tolist() == record.standing(["pgd"])
    assert case.standing(["pgd"]).tolist() == [record.standing(["pgd"])[i] for i in right[:IMAGES]]
    assert case.some == Looked(min(len(right), IMAGES), pytest.approx(len(right) / n))
    assert case.everything == Looked(n, 1.0)
    assert torch.equal(case.sample, data.test_x[:IMAGES].float() / 255)
    assert case.guesses.tolist() == record.predictions["natural"]


def test_what_stands_is_naturally_right_too():
    case = told({"natural": [1, 1, 0, 1], "pgd": [1, 0, 0, 1], "square": [0, 1, 0, 1]})
    assert case.standing(["pgd"]).tolist() == [True, False, True]
    assert case.under(["pgd", "square"]).tolist() == [False, False, False, True]
    assert case.before(["pgd"], ["square"])
    assert not case.before(["square"], ["pgd"])
