"""Verdicts on sizes: is an accuracy, or a difference of two, within a range? By 95 % intervals.

The claim holds if the whole interval is within the range, does not hold if the whole interval is
outside, and is open otherwise: too few images give neither verdict. All seeds must agree.
"""

from collections.abc import Sequence

from ..statistics import clopper_pearson
from .table import Row
from .verdicts import Finding, Verdict, collapsed_words, describe, discordant, open_finding


def verdict_in_range(lower: float, upper: float, low: float, high: float) -> Verdict:
    """Is what is between `lower` and `upper` between `low` and `high`?"""
    if low <= lower and upper <= high:
        return "holds"
    return "does not hold" if upper < low or lower > high else "open"


def agreed(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of all seeds, open if they have not the same one."""
    return verdicts[0] if len(set(verdicts)) == 1 else "open"


def accuracy_within(rows: Sequence[Row], low: float, high: float, what: str) -> Finding:
    """Is the accuracy from `low` to `high` per cent, for every seed? By Wilson's intervals."""
    if not rows:
        return open_finding(f"{what} is not in the table")
    verdicts = [
        verdict_in_range(100 * row.lower, 100 * row.upper, low, high)
        for row in sorted(rows, key=lambda row: row.seed)
    ]
    return Finding(agreed(verdicts), f"{what}, {rows[0].attack_label}: {describe(rows)}")


def near_other(
    first: Sequence[Row], second: Sequence[Row], points: float, names: tuple[str, str]
) -> Finding:
    """Is the accuracy of the first network at most so many percentage points below that of the
    second, seed by seed? By Wilson's intervals of both, which is cautious: the largest and the
    smallest difference that they allow."""
    pairs = [
        (one, two)
        for one in sorted(first, key=lambda row: row.seed)
        for two in second
        if one.seed == two.seed
    ]
    if not pairs:
        return open_finding(f"no pair of {names[0]} and {names[1]} with the same seed")
    verdicts = [
        verdict_in_range(100 * (two.lower - one.upper), 100 * (two.upper - one.lower), -100, points)
        for one, two in pairs
    ]
    parts = "; ".join(
        f"seed {one.seed}: {100 * one.accuracy:.1f} % ({one.k} / {one.n}) and "
        f"{100 * two.accuracy:.1f} % ({two.k} / {two.n}){collapsed_words(one, two)}"
        for one, two in pairs
    )
    label = pairs[0][0].attack_label
    return Finding(agreed(verdicts), f"{names[0]} and {names[1]}, {label}: {parts}")


def share_broken(
    before: Sequence[Row], after: Sequence[Row], low: float, high: float, what: str
) -> Finding:
    """Of all images of a network, does an attack, or more of it, break from `low` to `high` per
    cent that are correctly classified before it? By the exact interval, for every network."""
    pairs = [
        (one, two)
        for one in sorted(before, key=lambda row: row.seed)
        for two in after
        if one.cell == two.cell and one.n == two.n
    ]
    if not pairs:
        return open_finding(f"{what}: not in the table")
    shares = [clopper_pearson(_broken(one, two), one.n) for one, two in pairs]
    verdicts = [
        verdict_in_range(100 * share.lower, 100 * share.upper, low, high) for share in shares
    ]
    parts = "; ".join(
        f"seed {one.seed}: {one.k} and {two.k} of {one.n} are correctly classified, {share.k} are "
        f"broken, exact 95 % interval {100 * share.lower:.1f} to {100 * share.upper:.1f} %"
        + (" (the network collapsed)" if one.collapsed else "")
        for (one, two), share in zip(pairs, shares, strict=True)
    )
    return Finding(agreed(verdicts), f"{what}: {parts}")


def _broken(before: Row, after: Row) -> int:
    """The number of images that are correctly classified before and not after. A convergence has no
    outcomes of images; there, an image that is broken stays so."""
    if before.correct and after.correct:
        return discordant(before, after)[0]
    return max(0, before.k - after.k)
