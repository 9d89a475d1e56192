from math import sqrt
from statistics import NormalDist

import pytest

from sense.statistics import wilson


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
def test_ends_solve_the_score_equation(k, n, level):
    z = NormalDist().inv_cdf((1 + level) / 2)
    interval = wilson(k, n, level)
    assert interval.lower == pytest.approx(score_root(k, n, z, 0, k / n), abs=1e-12)
    assert interval.upper == pytest.approx(score_root(k, n, z, 1, k / n), abs=1e-12)
    assert interval.estimate == k / n


def test_known_interval():
    """R: prop.test(90, 100, correct = FALSE)$conf.int"""
    assert wilson(90, 100)[2:] == pytest.approx((0.8256343, 0.9447708), abs=1e-7)


def test_none_and_all_have_an_exact_end():
    assert wilson(0, 20).lower == 0
    assert wilson(20, 20).upper == 1
    assert (
        wilson(0, 20).upper == pytest.approx(1 - wilson(20, 20).lower) == pytest.approx(0.1611252)
    )


def test_reads_as_people_write_it():
    assert str(wilson(90, 100)) == "90.0 % [82.6, 94.5] (90 / 100)"


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match=f"got {k} of {n}"):
        wilson(k, n)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {level}"):
        wilson(1, 2, level)
