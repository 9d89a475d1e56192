"""Intervals and paired tests for accuracies. They cover the sampling of test images only: neither
the strength of an attack nor the chance of training."""

from collections.abc import Callable, Sequence
from math import exp, fsum, isfinite, lgamma, log, log1p, sqrt
from statistics import NormalDist, mean, stdev
from typing import NamedTuple

import numpy as np

from .errors import InputError


class Proportion(NamedTuple):
    """k of n, with a confidence interval."""

    k: int
    n: int
    lower: float
    upper: float

    @property
    def estimate(self) -> float:
        return self.k / self.n

    def __str__(self) -> str:
        interval = f"[{100 * self.lower:.1f}, {100 * self.upper:.1f}]"
        return f"{100 * self.estimate:.1f} % {interval} ({self.k} / {self.n})"


def wilson(k: int, n: int, level: float = 0.95) -> Proportion:
    """Wilson's score interval (1927), the same as R's `prop.test(k, n, correct = FALSE)`.

    Raises ValueError unless 0 <= k <= n, n >= 1 and 0 < level < 1.
    """
    _check(k, n, level)
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = k / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # The ends are exactly 0 and 1 at k = 0 and k = n; rounding may miss them by an ulp.
    lower = 0.0 if k == 0 else centre - half
    upper = 1.0 if k == n else centre + half
    return Proportion(k, n, lower, upper)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Proportion:
    """The exact interval of Clopper and Pearson (1934), the same as R's `binom.test(k, n)`: the
    probabilities under which k or more, and k or fewer, of n are as rare as (1 - level) / 2.

    Raises ValueError unless 0 <= k <= n, n >= 1 and 0 < level < 1.
    """
    _check(k, n, level)
    i = np.arange(1, n + 1)
    log_choose = np.concatenate([[0.0], np.cumsum(np.log((n - i + 1) / i))])

    def at_most(j: int, p: float) -> float:
        """P(X <= j) of a binomial X, p strictly between 0 and 1."""
        i = np.arange(j + 1)
        return float(np.exp(log_choose[: j + 1] + i * np.log(p) + (n - i) * np.log1p(-p)).sum())

    rare = (1 - level) / 2
    lower = 0.0 if k == 0 else _crossing(lambda p: at_most(k - 1, p) > 1 - rare)
    upper = 1.0 if k == n else _crossing(lambda p: at_most(k, p) > rare)
    return Proportion(k, n, lower, upper)


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial X: the one-sided exact p-value of a share of at most p. R's
    `binom.test(k, n, p, "greater")`.

    Raises ValueError unless 0 <= k <= n, n >= 1 and 0 < p < 1.
    """
    _check(k, n, 0.5)
    if not 0 < p < 1:
        raise InputError(f"p must be between 0 and 1, got {p}")
    ways = [
        lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p)
        for i in range(k, n + 1)
    ]
    return min(1.0, fsum(map(exp, ways)))


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar (1947) for two networks on the same images, from how
    many only the first and only the second has right: R's `binom.test(b, b + c)`. 1 where none.

    Raises ValueError for a negative count.
    """
    if min(only_first, only_second) < 0:
        raise InputError(f"counts must be >= 0, got {only_first} and {only_second}")
    n, few = only_first + only_second, min(only_first, only_second)
    tail = ways = 1  # whole numbers: exact, however many images
    for i in range(few):
        ways = ways * (n - i) // (i + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**n)


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for being several (Holm 1979), in the order given: R's
    `p.adjust(p, "holm")`. Raises ValueError for a p outside [0, 1]."""
    if not all(0 <= value <= 1 for value in p):
        raise InputError(f"p-values must be from 0 to 1, got {list(p)}")
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) of accuracies of networks trained from several seeds."""

    mean: float
    sd: float
    seeds: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % +- {100 * self.sd:.1f} (sd of {self.seeds} seeds)"


def over_seeds(accuracies: Sequence[float]) -> Spread:
    """How accuracies vary with the seed of training. Their images are the same, so their counts
    must never be added up into one binomial interval. Raises ValueError for fewer than two."""
    if len(accuracies) < 2 or not all(isfinite(value) for value in accuracies):
        raise InputError(f"a spread needs two accuracies at least, got {list(accuracies)}")
    return Spread(mean(accuracies), stdev(accuracies), len(accuracies))


def _check(k: int, n: int, level: float) -> None:
    if not (n >= 1 and 0 <= k <= n):
        raise InputError(f"k of n needs n >= 1 and 0 <= k <= n, got {k} of {n}")
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}")


def _crossing(holds: Callable[[float], bool]) -> float:
    """The p up to which it holds, between 0 and 1, to the last bit that bisection finds."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return middle
