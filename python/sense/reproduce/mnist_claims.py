"""The claims about MNIST: section 5.2.1 and figures 7 and 8."""

from collections.abc import Sequence
from statistics import mean

from .mnist_plans import CAPACITIES
from .ranges import accuracy_within
from .table import Row
from .verdicts import (
    Claim,
    Finding,
    all_of,
    choose,
    collapses,
    higher,
    never_collapses,
    open_finding,
    sign_test,
)

# Percentage points: what "about" allows, and how far below the paper's an accuracy may be.
ABOUT = 3.0
BELOW_NATURAL, BELOW_ROBUST = 0.5, 2.0


def plain_sense(rows: Sequence[Row]) -> list[Row]:
    """SENSE-AT as in the paper: reversion, a start at the image."""
    return choose(rows, method="sense", boundary="revert", start="natural")


def _sense(rows: Sequence[Row], attack: str) -> list[Row]:
    return choose(plain_sense(rows), attack=attack, c=0.7)


def _reaches_pgd_500(rows: Sequence[Row]) -> Finding:
    found = choose(_sense(rows, "pgd"), attack_label="PGD-500 x 20")
    return accuracy_within(found, 91.74 - BELOW_ROBUST, 100, "SENSE-AT, c = 0.7")


def _reaches_natural(rows: Sequence[Row]) -> Finding:
    found = _sense(rows, "natural")
    return accuracy_within(found, 99.51 - BELOW_NATURAL, 100, "SENSE-AT, c = 0.7")


def _between(attack: str, first: str, second: str, rows: Sequence[Row]) -> Finding:
    """Is the first method higher than the second under the attack, on the same images?"""
    ours = choose(rows, attack=attack)
    return higher(choose(ours, method=first), choose(ours, method=second), (first, second))


MNIST_CLAIMS = (
    Claim(
        "natural",
        "SENSE-AT with c = 0.7 has 99.51 % natural accuracy, or at most 0.5 points less",
        "section 5.2.1",
        _reaches_natural,
    ),
    Claim(
        "pgd-500",
        "it has 91.74 % under PGD-500 with 20 restarts, or at most 2 points less",
        "section 5.2.1",
        _reaches_pgd_500,
    ),
    Claim(
        "more-natural",
        "its natural accuracy is higher than that of R-AT",
        "abstract, section 5",
        lambda rows: _between("natural", "sense", "r-at", rows),
    ),
    Claim(
        "autoattack",
        "R-AT is more robust than SENSE-AT under AutoAttack",
        "not in the paper",
        lambda rows: _between("autoattack", "r-at", "sense", rows),
    ),
)


def _r_at_collapses(rows: Sequence[Row]) -> Finding:
    return all_of(
        collapses(choose(rows, method="r-at", model=model), f"R-AT, {model}")
        for model in CAPACITIES[:3]
    )


def _except_the_smallest(rows: Sequence[Row]) -> Finding:
    others = [row for row in plain_sense(rows) if not (row.model == "capacity-1" and row.c == 0)]
    return never_collapses(others, "SENSE-AT but capacity-1 with c = 0")


def _natural_training(rows: Sequence[Row]) -> Finding:
    """About 95 and 97 % with capacity 1 and 2, more than 99 % with the others."""
    about = {"capacity-1": 95.0, "capacity-2": 97.0}
    ranges = {model: (percent - ABOUT, percent + ABOUT) for model, percent in about.items()}
    return all_of(
        accuracy_within(
            choose(rows, method="nt", model=model, attack="natural"),
            *ranges.get(model, (99.0, 100.0)),
            f"NT, {model}",
        )
        for model in CAPACITIES
    )


def _less_sensitive(rows: Sequence[Row]) -> Finding:
    """The range of the accuracy over c, with capacity 1 less that with capacity 4, by seed."""
    robust = choose(plain_sense(rows), attack="pgd")
    seeds = sorted({row.seed for row in robust})

    def spread(model: str, seed: int) -> float | None:
        found = [row.accuracy for row in choose(robust, model=model, seed=seed)]
        return max(found) - min(found) if len(found) > 1 else None

    pairs = [(spread("capacity-1", seed), spread("capacity-4", seed)) for seed in seeds]
    known = [(one, two) for one, two in pairs if one is not None and two is not None]
    if not known:
        return open_finding("capacity-1 and capacity-4 are not in the table")
    what = "range of accuracy under PGD over c, capacity-1 less capacity-4"
    return sign_test([one - two for one, two in known], what)


def _bisection_is_more_robust(rows: Sequence[Row]) -> Finding:
    robust = choose(rows, attack="pgd", method="sense", start="natural")
    return _mean_difference(
        choose(robust, boundary="bisect"),
        choose(robust, boundary="revert"),
        "accuracy under PGD, bisection less reversion",
    )


def _random_start_is_more_robust(rows: Sequence[Row]) -> Finding:
    robust = choose(rows, attack="pgd", method="sense", boundary="revert", stage_test="natural")
    return _mean_difference(
        choose(robust, start="random"),
        choose(robust, start="natural"),
        "accuracy under PGD, random start less start at the image",
    )


def _stage_test_at_the_start_is_more_robust(rows: Sequence[Row]) -> Finding:
    robust = choose(rows, attack="pgd", method="sense", boundary="revert", start="random")
    return _mean_difference(
        choose(robust, stage_test="start"),
        choose(robust, stage_test="natural"),
        "accuracy under PGD, stage tested at the start less at the image",
    )


def _mean_difference(first_rows: Sequence[Row], second_rows: Sequence[Row], what: str) -> Finding:
    """The mean over c and capacity of the difference of two variants that both have, by seed."""
    first, second = (
        {(row.seed, row.model, row.c): row.accuracy for row in rows}
        for rows in (first_rows, second_rows)
    )
    by_seed: dict[int, list[float]] = {}
    for key in first.keys() & second.keys():
        by_seed.setdefault(key[0], []).append(first[key] - second[key])
    if not by_seed:
        return open_finding(f"{what}: not in the table")
    return sign_test([mean(by_seed[seed]) for seed in sorted(by_seed)], what)


FIGURE_7_CLAIMS = (
    Claim(
        "r-at-collapses",
        "R-AT collapses with capacity 1, 2 and 3",
        "section 5.2.1",
        _r_at_collapses,
    ),
    Claim(
        "r-at-capacity-4",
        "R-AT does not collapse with capacity 4",
        "figure 7",
        lambda rows: never_collapses(
            choose(rows, method="r-at", model="capacity-4"), "R-AT, capacity-4"
        ),
    ),
    Claim(
        "sense-no-collapse",
        "SENSE-AT does not collapse, except with capacity 1 and c = 0",
        "section 5.2.1",
        _except_the_smallest,
    ),
    Claim(
        "sense-c-0",
        "SENSE-AT collapses with capacity 1 and c = 0",
        "section 5.2.1",
        lambda rows: collapses(
            choose(plain_sense(rows), model="capacity-1", c=0.0), "SENSE-AT, capacity-1, c = 0"
        ),
    ),
    Claim(
        "nt",
        "natural training reaches about 95 and 97 % with capacity 1 and 2 (3 points more or less), "
        "and more than 99 % with the others",
        "section 5.2.1",
        _natural_training,
    ),
    Claim(
        "sensitivity",
        "accuracy is less sensitive to c with more capacity",
        "section 5.3.3",
        _less_sensitive,
    ),
    Claim(
        "bisection",
        "bisection is more robust under PGD than reversion",
        "not in the paper",
        _bisection_is_more_robust,
    ),
    Claim(
        "random-start",
        "a random start, as in the authors' code, is more robust under PGD than a start at the "
        "image",
        "not in the paper",
        _random_start_is_more_robust,
    ),
    Claim(
        "stage-test",
        "testing the stage at the random start, as in the authors' code, is more robust under PGD "
        "than at the image",
        "not in the paper",
        _stage_test_at_the_start_is_more_robust,
    ),
)
