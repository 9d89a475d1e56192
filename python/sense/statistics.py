"""Intervals for accuracies. They cover the sampling of test images only: neither the strength of
an attack nor the chance of training."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple


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
    if not (n >= 1 and 0 <= k <= n):
        raise ValueError(f"k of n needs n >= 1 and 0 <= k <= n, got {k} of {n}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = k / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # The ends are exactly 0 and 1 at k = 0 and k = n; rounding may miss them by an ulp.
    lower = 0.0 if k == 0 else centre - half
    upper = 1.0 if k == n else centre + half
    return Proportion(k, n, lower, upper)
