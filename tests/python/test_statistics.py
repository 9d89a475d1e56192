from math import comb, sqrt
from statistics import NormalDist

import pytest

from sense.statistics import binomial_p_value, clopper_pearson, holm, mcnemar, over_seeds, wilson


def score_root(k, n, z, low, high):
    """The p between low and high with |k/n - p| = z sqrt(p (1 - p) / n), by bisection."""

    def outside(p):
        return abs(k / n - p) > z * sqrt(p * (1 - p) / n)

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if outside(middle) == outside(low) else (low, middle)
    return (low + high) / 2


@pytest.mark.parametrize(("k", "n"), [(1, 10), (7, 10), (50, 100), (1993, 2000), (1, 2000)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_wilsons_ends_solve_the_score_equation(k, n, level):
    z = NormalDist().inv_cdf((1 + level) / 2)
    interval = wilson(k, n, level)
    assert interval.lower == pytest.approx(score_root(k, n, z, 0, k / n), abs=1e-12)
    assert interval.upper == pytest.approx(score_root(k, n, z, 1, k / n), abs=1e-12)
    assert interval.estimate == k / n


def test_wilsons_interval_is_that_of_r():
    """R: prop.test(90, 100, correct = FALSE)$conf.int"""
    assert wilson(90, 100)[2:] == pytest.approx((0.8256343, 0.9447708), abs=1e-7)


def test_wilsons_interval_reaches_0_and_1():
    assert wilson(0, 20).lower == 0
    assert wilson(20, 20).upper == 1
    assert (
        wilson(0, 20).upper == pytest.approx(1 - wilson(20, 20).lower) == pytest.approx(0.1611252)
    )


def test_a_proportion_is_printed_in_percent_with_its_counts():
    assert str(wilson(90, 100)) == "90.0 % [82.6, 94.5] (90 / 100)"


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(interval, k, n):
    with pytest.raises(ValueError, match=f"got {k} of {n}"):
        interval(k, n)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@pytest.mark.parametrize("level", [0, 1, 95])
def test_impossible_levels_are_refused(interval, level):
    with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {level}"):
        interval(1, 2, level)


@pytest.mark.parametrize(
    ("k", "n", "level", "lower", "upper"),
    [
        (1, 10, 0.95, 0.00252857854446179, 0.445016117028195),
        (7, 10, 0.5, 0.542303845425148, 0.824428712510455),
        (50, 100, 0.95, 0.398321129503301, 0.601678870496699),
        (1993, 2000, 0.95, 0.992802038285342, 0.998591696167497),
        (1, 2000, 0.999, 2.5006248957552e-07, 0.00498810744010364),
        (3422, 10000, 0.95, 0.332898089787819, 0.351593891267864),
        (9999, 10000, 0.95, 0.999442963002053, 0.999997468222407),
    ],
)
def test_exact_intervals_are_those_of_r(k, n, level, lower, upper):
    """R 4.2.2: binom.test(k, n, conf.level = level)$conf.int"""
    assert clopper_pearson(k, n, level)[2:] == pytest.approx((lower, upper), rel=1e-9)


def test_exact_intervals_at_none_and_all_have_a_closed_form():
    """(1 - p)^n = (1 - level) / 2"""
    assert clopper_pearson(0, 20)[2:] == (0, pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-12))
    assert clopper_pearson(20, 20)[2:] == (pytest.approx(0.025 ** (1 / 20), rel=1e-12), 1)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (1, 0, 1),
        (2, 9, 0.0654296875),
        (10, 12, 0.831811904907227),
        (30, 75, 1.31536731461922e-05),
        (400, 523, 5.79029810139046e-05),
        (0, 60, 1.73472347597681e-18),
    ],
)
def test_paired_tests_are_those_of_r(first, second, p):
    """R 4.2.2: binom.test(first, first + second)$p.value"""
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-9)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_a_paired_test_without_differences_has_p_1():
    assert mcnemar(0, 0) == 1
    assert mcnemar(3, 3) == 1
    with pytest.raises(ValueError, match="counts must be >= 0, got -1 and 2"):
        mcnemar(-1, 2)


def test_holm_is_that_of_r():
    """R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.9), "holm"); ties and the cap at 1 too."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.9])
    assert holm([0.5, 0.5, 0.6]) == [1, 1, 1]
    assert holm([]) == []
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        holm([0.5, 1.5])


def test_seeds_have_a_mean_and_a_standard_deviation():
    """sd with n - 1: sqrt((0.01^2 + 0 + 0.01^2) / 2)"""
    spread = over_seeds([0.51, 0.52, 0.53])
    assert spread == (pytest.approx(0.52), pytest.approx(0.01), 3)
    assert str(spread) == "52.0 % +- 1.0 (sd of 3 seeds)"
    with pytest.raises(ValueError, match="needs at least two accuracies"):
        over_seeds([0.5])


def test_the_p_value_is_the_sum_of_binomial_terms():
    """R: binom.test(17, 100, 0.1, "greater")$p.value is 0.02059881."""
    assert binomial_p_value(17, 100, 0.1) == pytest.approx(0.02059881, abs=1e-8)
    for k in range(13):
        whole = sum(comb(12, i) * 0.3**i * 0.7 ** (12 - i) for i in range(k, 13))
        assert binomial_p_value(k, 12, 0.3) == pytest.approx(whole, rel=1e-12)
    assert binomial_p_value(0, 5, 0.3) == pytest.approx(1)
    with pytest.raises(ValueError, match="p must be between 0 and 1, got 1"):
        binomial_p_value(1, 2, 1)
    with pytest.raises(ValueError, match="got 3 of 2"):
        binomial_p_value(3, 2, 0.5)


@pytest.mark.parametrize(("k", "n", "p"), [(3, 64, 0.01), (4, 64, 0.01), (60, 1000, 0.05)])
def test_the_p_value_is_small_if_the_exact_interval_lies_above(k, n, p):
    assert (binomial_p_value(k, n, p) < 0.025) == (clopper_pearson(k, n).lower > p)
