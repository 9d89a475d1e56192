"""Verdicts on claims, against McNemar's and the binomial test by hand."""

import pytest

from reproduced import row
from sense.reproduce.verdicts import (
    all_of,
    choose,
    collapses,
    higher,
    never_collapses,
    open_finding,
    sign_test,
)

NAMES = ("first", "second")
# 10 images right only with the first, none only with the second: p = 2 / 2^10.
BETTER, WORSE = "1" * 10 + "0" * 10, "0" * 20


def test_a_network_is_higher_by_mcnemar_s_exact_test():
    found = higher([row(BETTER)], [row(WORSE)], NAMES)
    assert found.verdict == "holds"
    assert "10 and 0 of 20, 10 only by the first and 0 only by the second" in found.evidence
    assert found.evidence.endswith("p = 0.002")
    assert higher([row(WORSE)], [row(BETTER)], NAMES).verdict == "does not hold"


def test_a_collapsed_network_is_named():
    evidence = higher([row(collapsed=True)], [row()], ("R-AT", "NT")).evidence
    assert evidence.endswith("p = 1 (the first collapsed)")
    evidence = higher([row(collapsed=True)], [row(collapsed=True)], ("R-AT", "NT")).evidence
    assert evidence.endswith("p = 1 (the first and the second collapsed)")


def test_five_images_do_not_decide():
    """5 to 0: p = 2 / 2^5 = 0.0625."""
    assert higher([row("1" * 5 + "0" * 5)], [row("0" * 10)], NAMES).verdict == "open"
    assert higher([row("1" * 6 + "0" * 4)], [row("0" * 10)], NAMES).verdict == "holds"


def test_all_seeds_must_agree():
    first = [row(BETTER, seed=1), row(BETTER, seed=2)]
    assert higher(first, [row(WORSE, seed=1), row(WORSE, seed=2)], NAMES).verdict == "holds"
    assert higher(first, [row(WORSE, seed=1), row(BETTER, seed=2)], NAMES).verdict == "open"
    other = [row(BETTER, seed=1), row(WORSE, seed=2)]
    assert higher(other, [row(WORSE, seed=1), row(BETTER, seed=2)], NAMES).verdict == "open"
    one_lower = higher([row(WORSE, seed=1), row(WORSE, seed=2)], other, NAMES)
    assert one_lower.verdict == "does not hold"


def test_p_values_are_adjusted_over_the_seeds():
    """6 to 0 is p = 1/32; with two seeds twice that, by Holm."""
    first, second = "1" * 6 + "0" * 4, "0" * 10
    assert higher([row(first)], [row(second)], NAMES).verdict == "holds"
    two = higher(
        [row(first, seed=1), row(first, seed=2)],
        [row(second, seed=1), row(second, seed=2)],
        NAMES,
    )
    assert two.verdict == "open"
    assert "p = 0.062" in two.evidence


def test_only_the_same_images_are_paired():
    found = higher([row(BETTER, images="these")], [row(WORSE, images="those")], NAMES)
    assert (found.verdict, found.judged) == ("open", False)


def test_a_claim_of_parts_holds_if_all_do():
    holds = higher([row(BETTER)], [row(WORSE)], NAMES)
    not_ = higher([row(WORSE)], [row(BETTER)], NAMES)
    undecided = higher([row(WORSE)], [row(WORSE)], NAMES)
    missing = open_finding("no such network")
    assert all_of([holds, holds]).verdict == "holds"
    assert all_of([holds, not_]).verdict == "does not hold"
    assert all_of([holds, undecided]).verdict == "open"
    assert all_of([holds, missing]).verdict == "open"
    assert all_of([holds, missing]).evidence.endswith("Not in the table: 1 of 2 parts")
    assert not all_of([missing]).judged


@pytest.mark.parametrize(
    ("collapsed", "of", "verdict"),
    [(5, 5, "holds"), (4, 5, "open"), (0, 5, "does not hold"), (1, 1, "open"), (0, 4, "open")],
)
def test_collapse_of_most_trainings_is_tested_exactly(collapsed, of, verdict):
    """All of five: p = 1/32."""
    rows = [row(seed=i, collapsed=i < collapsed) for i in range(of)]
    twice = [*rows, *(row(seed=i, collapsed=i < collapsed, attack="natural") for i in range(of))]
    for found in (collapses(rows, "R-AT"), collapses(twice, "R-AT")):
        assert found.verdict == verdict
        assert f"{collapsed} of {of} trainings of R-AT collapse" in found.evidence


def test_one_collapse_refutes_that_there_is_none_and_five_trainings_support_it():
    five = [row(seed=i) for i in range(5)]
    assert never_collapses(five, "SENSE-AT").verdict == "holds"
    found = never_collapses([*five, row(seed=5, collapsed=True)], "SENSE-AT")
    assert found.verdict == "does not hold"
    assert row(seed=5).cell in found.evidence
    assert never_collapses(five[:4], "SENSE-AT").verdict == "open"
    assert never_collapses([row(collapsed=True)], "SENSE-AT").verdict == "does not hold"
    assert never_collapses([], "SENSE-AT").verdict == "open"


def test_a_sign_test_needs_five_seeds():
    assert sign_test([0.1] * 5, "x").verdict == "holds"
    assert sign_test([0.1] * 4, "x").verdict == "open"
    assert sign_test([-0.1] * 5, "x").verdict == "does not hold"
    assert sign_test([0.1, 0.1, 0.1, 0.1, -0.1], "x").verdict == "open"
    assert sign_test([], "x").verdict == "open"


def test_rows_are_chosen_by_their_columns():
    rows = [row(), row(method="nt"), row(c=0.5)]
    assert choose(rows, method="sense", c=0.5) == [rows[2]]
