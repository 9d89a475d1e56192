"""The claims about the convergence of PGD: figures 8 and 9."""

import re
from collections.abc import Sequence

from .ranges import share_broken
from .table import Row
from .verdicts import Claim, Finding, choose

FEW = 1.0  # images of 100 that may still change
ABOUT_TWO = (1.0, 4.0)  # per cent: from half as much to twice as much


def _longest(rows: Sequence[Row]) -> tuple[int, int]:
    """The largest numbers of steps and restarts in the labels of the rows."""
    labels = (row.attack_label for row in choose(rows, attack="pgd"))
    found = [re.fullmatch(r"PGD-(\d+) x (\d+)", label) for label in labels]
    numbers = [(int(one[1]), int(one[2])) for one in found if one]
    return max(numbers, default=(0, 0))


def _after(rows: Sequence[Row], steps: int, restarts: int) -> list[Row]:
    """The rows of all networks after this many steps of this restart."""
    return choose(rows, attack="pgd", attack_label=f"PGD-{steps} x {restarts}")


def _half_is_enough(rows: Sequence[Row]) -> Finding:
    """Does the second half of the steps of the first restart break at most one image of 100?"""
    steps, _ = _longest(rows)
    half, full = _after(rows, steps // 2, 1), _after(rows, steps, 1)
    what = f"after {steps // 2} and {steps} steps of the first restart"
    return share_broken(half, full, 0, FEW, what)


def _restarts_agree(rows: Sequence[Row]) -> Finding:
    """Do all further restarts break at most one image of 100?"""
    steps, restarts = _longest(rows)
    one, every = _after(rows, steps, 1), _after(rows, steps, restarts)
    return share_broken(one, every, 0, FEW, f"after 1 and {restarts} restarts")


def _two_points(rows: Sequence[Row]) -> Finding:
    """Do twenty restarts break about 2 % of the images that five do not?"""
    steps, _ = _longest(rows)
    five, twenty = _after(rows, steps, 5), _after(rows, steps, 20)
    return share_broken(five, twenty, *ABOUT_TWO, "after 5 and 20 restarts")


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
        "with 20 restarts in place of 5, accuracy decreases by about 2 %: from 1 to 4 %",
        "section 5.3.5",
        _two_points,
    ),
)
