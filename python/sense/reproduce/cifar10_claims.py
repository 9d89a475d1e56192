"""The claims about CIFAR10 in tables 3 to 7."""

from collections.abc import Callable, Sequence
from itertools import pairwise, permutations

from .cifar10_plans import METHODS
from .mnist_claims import plain_sense
from .ranges import near_other, share_broken
from .table import Row
from .verdicts import (
    Claim,
    Finding,
    all_of,
    choose,
    collapses,
    higher,
    network_name,
    never_collapses,
)

OTHERS = tuple(method for method in METHODS if method != "sense")
# Distances of SENSE-AT from the best in tables 3 and 4, which the text calls comparable.
GAP_OF_TABLE_3 = 55.81 - 49.14
GAP_OF_TABLE_4 = 67.77 - 63.80
FEW = 1.0  # images of 100 that DeepFool may break
Judge = Callable[[Sequence[Row]], Finding]


def sense_is_highest(attack: str) -> Judge:
    """A claim that SENSE-AT is higher than each other method of table 3 under an attack."""

    def judge(rows: Sequence[Row]) -> Finding:
        ours = choose(rows, attack=attack)
        return all_of(
            higher(choose(ours, method="sense"), choose(ours, method=other), ("sense", other))
            for other in OTHERS
        )

    return judge


def comparable(attack: str, points: float) -> Judge:
    """A claim that SENSE-AT is at most so many points below the best other method, which means
    below each of them."""

    def judge(rows: Sequence[Row]) -> Finding:
        ours = choose(rows, attack=attack)
        sense = choose(ours, method="sense")
        return all_of(
            near_other(sense, choose(ours, method=other), points, ("sense", other))
            for other in OTHERS
        )

    return judge


def _deepfool_breaks_few(rows: Sequence[Row]) -> Finding:
    """Does DeepFool break at most one image of 100, for each method?"""
    findings = []
    for method in METHODS:
        found = choose(rows, method=method)
        natural, attacked = choose(found, attack="natural"), choose(found, attack="deepfool")
        what = f"{method} without attack and under DeepFool"
        findings.append(share_broken(natural, attacked, 0, FEW, what))
    return all_of(findings)


TABLE_3_CLAIMS = (
    Claim(
        "natural",
        "SENSE-AT has the highest natural accuracy of the five",
        "Table 3",
        sense_is_highest("natural"),
    ),
    Claim(
        "fgsm",
        "SENSE-AT has the highest accuracy under FGSM of the five",
        "Table 3",
        sense_is_highest("fgsm"),
    ),
    Claim(
        "pgd",
        "SENSE-AT is comparably robust: at most 6.67 points below the best under PGD, as in the "
        "table",
        "Table 3",
        comparable("pgd", GAP_OF_TABLE_3),
    ),
    Claim(
        "autoattack",
        "the same under AutoAttack",
        "not in the paper",
        comparable("autoattack", GAP_OF_TABLE_3),
    ),
    Claim(
        "deepfool",
        "accuracy under DeepFool is about that without an attack: it breaks at most 1 of 100 "
        "images",
        "Table 3",
        _deepfool_breaks_few,
    ),
)


def _weakest_to_itself(rows: Sequence[Row]) -> Finding:
    """For each network: is accuracy under each transfer attack higher than under its own PGD?"""
    findings = []
    for method, source in permutations(METHODS, 2):
        own = choose(rows, method=method, source=method)
        transferred = choose(rows, method=method, source=source, attack="transfer")
        names = (f"{method} attacked from {source}", "from itself")
        findings.append(higher(transferred, own, names))
    return all_of(findings)


def _comparable_to_transfer(rows: Sequence[Row]) -> Finding:
    findings = []
    for source in OTHERS:
        from_source = choose(rows, attack="transfer", source=source)
        ours = choose(from_source, method="sense")
        for other in OTHERS:
            if other != source:
                names = (f"sense attacked from {source}", other)
                theirs = choose(from_source, method=other)
                findings.append(near_other(ours, theirs, GAP_OF_TABLE_4, names))
    return all_of(findings)


TABLE_4_CLAIMS = (
    Claim(
        "own",
        "each network is more accurate under attacks from other networks than under its own",
        "Table 4",
        _weakest_to_itself,
    ),
    Claim(
        "transfer",
        "SENSE-AT is comparably robust to transfer attacks: at most 3.97 points below the best, "
        "as in the table",
        "Table 4",
        _comparable_to_transfer,
    ),
)


def by_c(attack: str, low: float, high: float) -> Judge:
    """A claim that accuracy under an attack is higher with the c `high` than with `low`."""

    def judge(rows: Sequence[Row]) -> Finding:
        ours = choose(plain_sense(rows), attack=attack)
        return higher(choose(ours, c=high), choose(ours, c=low), (f"c = {high}", f"c = {low}"))

    return judge


TABLE_5_CLAIMS = (
    Claim(
        "natural",
        "natural accuracy increases with c (c = 0.7 against 0.1)",
        "section 5.3.2",
        by_c("natural", 0.1, 0.7),
    ),
    Claim(
        "pgd",
        "robust accuracy decreases with c (c = 0.1 against 0.7, PGD); Table 5 itself has it "
        "increase",
        "section 5.3.2",
        by_c("pgd", 0.7, 0.1),
    ),
    Claim(
        "autoattack",
        "robust accuracy decreases with c (c = 0.1 against 0.7, AutoAttack)",
        "not in the paper",
        by_c("autoattack", 0.7, 0.1),
    ),
)


def _by_depth(attack: str) -> Judge:
    def judge(rows: Sequence[Row]) -> Finding:
        ours = choose(rows, attack=attack)
        deep, shallow = choose(ours, model="resnet56"), choose(ours, model="resnet20")
        return higher(deep, shallow, ("resnet56", "resnet20"))

    return judge


TABLE_6_CLAIMS = (
    Claim(
        "natural",
        "natural accuracy increases with depth (ResNet-56 against ResNet-20)",
        "Table 6",
        _by_depth("natural"),
    ),
    Claim(
        "pgd",
        "robust accuracy increases with depth (ResNet-56 against ResNet-20)",
        "Table 6",
        _by_depth("pgd"),
    ),
    Claim(
        "collapse",
        "no network collapses",
        "section 5.3.4",
        lambda rows: never_collapses(rows, "SENSE-AT"),
    ),
)

# From robust to accurate, as the columns of table 7.
_ORDER: tuple[dict[str, object], ...] = (
    {"method": "r-at"},
    {"method": "sense", "c": 0.1},
    {"method": "sense", "c": 0.5},
    {"method": "sense", "c": 0.7},
    {"method": "nt"},
)


def _in_order(attack: str, increasing: bool) -> Judge:
    """A claim that accuracy increases (or decreases) along the columns of table 7, for networks of
    capacity 2 with one learning rate: the first of the paper."""

    def judge(rows: Sequence[Row]) -> Finding:
        found = choose(rows, attack=attack, model="cifar-cnn-2", lr=0.01)
        pairs = [(b, a) if increasing else (a, b) for a, b in pairwise(_ORDER)]
        return all_of(
            higher(
                choose(found, **one),
                choose(found, **other),
                (network_name(one), network_name(other)),
            )
            for one, other in pairs
        )

    return judge


def _r_at_collapses(rows: Sequence[Row]) -> Finding:
    """With every learning rate: one that does not collapse refutes it. It holds if at least five
    trainings collapse, over at least three learning rates."""
    trainings = choose(rows, method="r-at", model="cifar-cnn-1", attack="natural")
    found = collapses(trainings, "R-AT, cifar-cnn-1, over learning rates")
    kept = [row for row in trainings if not row.collapsed]
    if kept:
        return Finding(
            "does not hold", f"{found.evidence}; {', '.join(r.cell for r in kept)} do not"
        )
    every = len({row.lr for row in trainings}) >= 3
    return found if every else Finding("open", found.evidence, found.judged)


TABLE_7_CLAIMS = (
    Claim(
        "r-at-collapses",
        "R-AT collapses with capacity 1, for each of three learning rates",
        "section 5.3.4",
        _r_at_collapses,
    ),
    Claim(
        "sense-no-collapse",
        "SENSE-AT does not collapse",
        "section 5.3.4",
        lambda rows: never_collapses(choose(rows, method="sense"), "SENSE-AT"),
    ),
    Claim(
        "natural",
        "natural accuracy increases from R-AT over c = 0.1, 0.5 and 0.7 to NT (capacity 2)",
        "Table 7",
        _in_order("natural", increasing=True),
    ),
    Claim(
        "pgd",
        "accuracy under PGD decreases in the same order (capacity 2)",
        "Table 7",
        _in_order("pgd", increasing=False),
    ),
)
