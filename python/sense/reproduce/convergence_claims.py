"""The claims about the convergence of PGD: figures 8 and 9."""

import re
from collections.abc import Sequence

from ..statistics import clopper_pearson
from .table import Row
from .verdicts import Claim, Finding, choose, open_finding

FEW = 1  # images of 100 that may still change


def _rows_by_attack(rows: Sequence[Row]) -> dict[tuple[int, int], Row]:
    """The rows by number of steps and restarts."""
    found = {}
    for row in choose(rows, attack="pgd"):
        if numbers := re.fullmatch(r"PGD-(\d+) x (\d+)", row.attack_label):
            found[int(numbers[1]), int(numbers[2])] = row
    return found


def _half_is_enough(rows: Sequence[Row]) -> Finding:
    """Does the second half of the steps of the first restart break at most one image of 100?"""
    found = _rows_by_attack(rows)
    steps = max((step for step, _ in found), default=0)
    half, full = found.get((steps // 2, 1)), found.get((steps, 1))
    return _few_more(half, full, f"after {steps // 2} and {steps} steps of the first restart")


def _restarts_agree(rows: Sequence[Row]) -> Finding:
    """Do all further restarts break at most one image of 100?"""
    found = _rows_by_attack(rows)
    steps, restarts = max(found, default=(0, 0))
    one, every = found.get((steps, 1)), found.get((steps, restarts))
    return _few_more(one, every, f"after 1 and {restarts} restarts")


def _few_more(less: Row | None, more: Row | None, when: str) -> Finding:
    """Does the longer attack break at most `FEW` more images of 100 than the shorter one?"""
    if less is None or more is None:
        return open_finding("PGD was not traced")
    return Finding(
        "holds" if less.k - more.k <= FEW * less.n / 100 else "does not hold",
        f"{when} {less.k} and {more.k} of {less.n} images are correctly classified",
    )


def _two_points(rows: Sequence[Row]) -> Finding:
    """Do twenty restarts break 2 % of the images that five do not? By the exact interval."""
    found = _rows_by_attack(rows)
    steps = max((step for step, _ in found), default=0)
    five, twenty = found.get((steps, 5)), found.get((steps, 20))
    if five is None or twenty is None:
        return open_finding("PGD with 5 and 20 restarts was not traced")
    share = clopper_pearson(five.k - twenty.k, five.n)
    return Finding(
        "holds" if share.lower <= 0.02 <= share.upper else "does not hold",
        f"{five.k} and {twenty.k} of {five.n} images are correctly classified after 5 and 20 "
        f"restarts: {share.k} of {share.n}, exact 95 % interval {100 * share.lower:.1f} to "
        f"{100 * share.upper:.1f} %",
    )


FIGURE_8_CLAIMS = (
    Claim(
        "steps",
        "500 steps are enough: the second half of them breaks at most 1 of 100 images",
        "section 5.2.2",
        _half_is_enough,
    ),
    Claim(
        "restarts",
        "accuracy hardly depends on the restarts: 19 further ones break at most 1 of 100 images",
        "section 5.2.2",
        _restarts_agree,
    ),
)
FIGURE_9_CLAIMS = (
    Claim(
        "steps",
        "100 steps are enough: the second half of them breaks at most 1 of 100 images",
        "section 5.3.5",
        _half_is_enough,
    ),
    Claim(
        "restarts",
        "with 20 restarts in place of 5, accuracy decreases by about 2 %",
        "section 5.3.5",
        _two_points,
    ),
)
