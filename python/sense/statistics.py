"""Confidence intervals and paired tests for accuracies.

They account for the sampling of test images only, not for the strength of an attack or the
randomness of training. scipy.stats is imported when first needed, because that takes a second.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import mean, stdev
from typing import Any, NamedTuple

from .errors import InputError

LEVEL = 0.95  # of confidence intervals


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


def wilson(k: int, n: int, level: float = LEVEL) -> Proportion:
    """Wilson's score interval (1927), the same as R's `prop.test(k, n, correct = FALSE)`.

    Raises ValueError unless 0 <= k <= n, n >= 1 and 0 < level < 1.
    """
    _check_counts(k, n)
    _check_level(level)
    interval = _binomtest(k, n).proportion_ci(level, "wilson")
    return Proportion(k, n, float(interval.low), float(interval.high))


def clopper_pearson(k: int, n: int, level: float = LEVEL) -> Proportion:
    """The exact interval of Clopper and Pearson (1934), the same as R's `binom.test(k, n)`.

    Its ends are quantiles of beta distributions, as in R. (scipy's `proportion_ci` finds them by a
    root search, to an absolute tolerance that is too large for small shares.)

    Raises ValueError unless 0 <= k <= n, n >= 1 and 0 < level < 1.
    """
    _check_counts(k, n)
    _check_level(level)
    from scipy.stats import beta

    tail = (1 - level) / 2
    lower = beta.ppf(tail, k, n - k + 1) if k > 0 else 0.0
    upper = beta.isf(tail, k + 1, n - k) if k < n else 1.0
    return Proportion(k, n, float(lower), float(upper))


def binomial_p_value(k: int, n: int, p: float) -> float:
    """The exact one-sided p-value of k of n, P(X >= k), if the true share is at most p: R's
    `binom.test(k, n, p, "greater")`.

    Raises ValueError unless 0 <= k <= n, n >= 1 and 0 < p < 1.
    """
    _check_counts(k, n)
    if not 0 < p < 1:
        raise InputError(f"p must be between 0 and 1, got {p}")
    return float(_binomtest(k, n, p, "greater").pvalue)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947) for two networks on the same images:
    R's `binom.test(b, b + c)`, and 1 without any image.

    The arguments are the numbers of images that only the first and only the second network
    classifies correctly. Raises ValueError for a negative count.
    """
    if min(only_first, only_second) < 0:
        raise InputError(f"counts must be >= 0, got {only_first} and {only_second}")
    n = only_first + only_second
    return float(_binomtest(min(only_first, only_second), n).pvalue) if n else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for multiple testing (Holm 1979), in the given order: R's
    `p.adjust(p, "holm")`. Raises ValueError for a p outside [0, 1].

    Written out because scipy does not have it, and statsmodels would add pandas.
    """
    if not all(0 <= value <= 1 for value in p):
        raise InputError(f"p-values must be from 0 to 1, got {list(p)}")
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) of accuracies of networks trained with several seeds."""

    mean: float
    sd: float
    seeds: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % +- {100 * self.sd:.1f} (sd of {self.seeds} seeds)"


def over_seeds(accuracies: Sequence[float]) -> Spread:
    """The spread of accuracies over seeds of training, measured on the same images. Their counts
    must not be pooled into one binomial interval. Raises ValueError for fewer than two."""
    if len(accuracies) < 2 or not all(isfinite(value) for value in accuracies):
        raise InputError(f"a spread needs at least two accuracies, got {list(accuracies)}")
    return Spread(mean(accuracies), stdev(accuracies), len(accuracies))


def _check_counts(k: int, n: int) -> None:
    if not (n >= 1 and 0 <= k <= n):
        raise InputError(f"k of n needs n >= 1 and 0 <= k <= n, got {k} of {n}")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}")


def _binomtest(k: int, n: int, p: float = 0.5, alternative: str = "two-sided") -> Any:
    from scipy.stats import binomtest

    return binomtest(k, n, p, alternative)
