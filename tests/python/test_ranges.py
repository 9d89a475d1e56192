"""Verdicts on sizes, against Wilson's and the exact interval."""

from dataclasses import replace

import pytest

from reproduced import row
from sense.reproduce.ranges import (
    accuracy_within,
    agreed,
    near_other,
    share_broken,
    verdict_in_range,
)

NAMES = ("sense", "trades")


def accurate(k, n=1000, **values):
    return row("1" * k + "0" * (n - k), **values)


def without_outcomes(bits):
    return replace(row(bits), correct="")


def test_only_a_whole_interval_within_or_outside_the_range_decides():
    assert verdict_in_range(1, 2, 1, 2) == "holds"
    assert verdict_in_range(0.9, 2, 1, 2) == "open"
    assert verdict_in_range(0, 3, 1, 2) == "open"
    assert verdict_in_range(0, 0.9, 1, 2) == "does not hold"
    assert verdict_in_range(2.1, 3, 1, 2) == "does not hold"


def test_seeds_that_do_not_agree_leave_a_claim_open():
    assert agreed(["holds", "holds"]) == "holds"
    assert agreed(["does not hold"] * 2) == "does not hold"
    assert agreed(["holds", "does not hold"]) == agreed(["does not hold", "open"]) == "open"


def test_an_accuracy_is_within_a_range_if_its_interval_is():
    """Wilson's interval of 90 of 100 is 82.6 to 94.5."""
    rows = [accurate(90, 100)]
    assert accuracy_within(rows, 82, 100, "x").verdict == "holds"
    assert accuracy_within(rows, 83, 100, "x").verdict == "open"
    assert accuracy_within(rows, 95, 100, "x").verdict == "does not hold"
    two = accuracy_within([accurate(99, 100, seed=2, collapsed=True), *rows], 95, 100, "x")
    assert two.verdict == "open"
    assert two.evidence.endswith("90.0 % (90 / 100, seed 1), 99.0 % (99 / 100, seed 2, collapsed)")
    assert not accuracy_within([], 95, 100, "x").judged


def test_a_distance_is_judged_by_both_intervals():
    """Of 1,000 images: 500 is 46.9 to 53.1, 550 is 51.9 to 58.1."""
    ours, other = [accurate(500)], [accurate(550, method="trades")]
    assert near_other(ours, other, 12, NAMES).verdict == "holds"
    assert near_other(ours, other, 5, NAMES).verdict == "open"
    far = [accurate(700, method="trades")]
    assert near_other(ours, far, 5, NAMES).verdict == "does not hold"
    assert near_other(far, ours, 5, NAMES).verdict == "holds"


def test_a_distance_is_judged_seed_by_seed():
    """Equal means over seeds: our worst network is not compared with the best of the others."""
    ours = [accurate(k, seed=i) for i, k in enumerate((600, 600, 430), 1)]
    other = [accurate(k, seed=i, method="trades") for i, k in enumerate((560, 470, 600), 1)]
    found = near_other(ours, other, 6.67, NAMES)
    assert found.verdict == "open"
    assert "seed 1: 60.0 % (600 / 1000) and 56.0 % (560 / 1000); seed 2: " in found.evidence
    assert near_other(ours[:2], other[:2], 6.67, NAMES).verdict == "holds"
    assert near_other(ours[2:], other[2:], 6.67, NAMES).verdict == "does not hold"
    gone = near_other([accurate(100, collapsed=True)], other, 6.67, NAMES)
    assert gone.evidence.endswith("(the first collapsed)")
    assert not near_other(ours[:1], other[1:], 6.67, NAMES).judged


@pytest.mark.parametrize(
    ("k", "verdict"),
    [(500, "does not hold"), (480, "holds"), (490, "open"), (440, "does not hold")],
)
def test_the_share_of_broken_images_is_judged_by_the_exact_interval(k, verdict):
    """Of 1,000 images: 0 is 0 to 0.4 %, 10 is 0.5 to 1.8 %, 20 is 1.2 to 3.1 %, 60 from 4.6 %."""
    found = share_broken([accurate(500)], [accurate(k, attack_label="more")], 1, 4, "x")
    assert found.verdict == verdict
    assert f"seed 1: 500 and {k} of 1000 are correctly classified" in found.evidence


def test_too_few_images_do_not_decide_the_share():
    """None of 100 broken: 0 to 3.6 %, which includes 2 % and no decrease at all."""
    assert share_broken([accurate(50, 100)], [accurate(50, 100)], 1, 4, "x").verdict == "open"
    assert share_broken([accurate(50, 100)], [accurate(50, 100)], 0, 1, "x").verdict == "open"


def test_broken_images_are_counted_one_by_one_if_their_outcomes_are_known():
    found = share_broken([row("1100")], [row("1001")], 0, 1, "x")
    assert "2 and 2 of 4 are correctly classified, 1 are broken" in found.evidence
    traced = share_broken([without_outcomes("1100")], [without_outcomes("1000")], 0, 1, "x")
    assert "1 are broken" in traced.evidence


def test_every_network_is_judged_and_named():
    before = [accurate(500, seed=seed) for seed in (1, 2, 3)]
    after = [accurate(500, seed=seed) for seed in (1, 2)]
    found = share_broken(before, [*after, accurate(400, seed=3)], 0, 1, "x")
    assert found.verdict == "open"
    assert [f"seed {seed}: 500" in found.evidence for seed in (1, 2, 3)] == [True] * 3
    assert share_broken(before[:2], after, 0, 1, "x").verdict == "holds"
    assert not share_broken(before[2:], after, 0, 1, "x").judged
