"""The statistics agree with stored results of R's own functions (tools/freeze_statistics.R), with
which the R package is tested too."""

import json

import pytest

from conftest import ROOT
from sense.evaluation.outcomes import CorrectMatrix, Outcome
from sense.evaluation.summary import WORST, accuracies
from sense.statistics import clopper_pearson, holm, mcnemar, wilson

FROZEN = json.loads((ROOT / "tests/testthat/frozen/statistics.json").read_text())


@pytest.mark.parametrize("one", FROZEN["intervals"], ids=str)
def test_the_intervals_are_those_of_r(one):
    found = wilson(one["k"], one["n"], one["level"])
    assert [found.lower, found.upper] == pytest.approx(one["wilson"], rel=1e-12, abs=1e-15)
    found = clopper_pearson(one["k"], one["n"], one["level"])
    assert [found.lower, found.upper] == pytest.approx(one["exact"], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("one", FROZEN["mcnemar"], ids=str)
def test_the_paired_test_is_that_of_r(one):
    found = mcnemar(one["only_first"], one["only_second"])
    assert found == pytest.approx(one["p"], rel=1e-12)


@pytest.mark.parametrize("one", FROZEN["holm"], ids=str)
def test_the_adjustment_is_that_of_r(one):
    assert holm(one["p"]) == pytest.approx(one["adjusted"], rel=1e-12)


def test_the_worst_is_that_of_r():
    rows = [
        Outcome(i, 3, attack, 3 if right else 0, right)
        for attack, rights in FROZEN["worst"]["right"].items()
        for i, right in enumerate(rights)
    ]
    assert accuracies(CorrectMatrix.from_outcomes(rows))[WORST].k == sum(FROZEN["worst"]["worst"])
