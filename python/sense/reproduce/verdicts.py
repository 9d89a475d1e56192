"""Verdicts on claims: exact paired tests of networks on the same images, seed by seed, and exact
tests of how many trainings collapse.

A verdict is about networks trained as those of the table, not about longer trainings. A claim holds
only if a test finds it true, and does not hold only if a test finds it false; else it is open. One
seed decides a comparison only as far as its images do; with several seeds, all must agree.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..statistics import binomial_p_value, clopper_pearson, holm, mcnemar
from .table import Row

Verdict = Literal["holds", "does not hold", "open"]
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """A verdict, and the numbers that it rests on. Without numbers it is not `judged`."""

    verdict: Verdict
    evidence: str
    judged: bool = True


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, or one that is not in the paper.

    Attributes
    ----------
    id, text, place
        A short name, the claim in words, and where the paper has it.
    judge
        The function of the rows that finds a verdict.
    """

    id: str
    text: str
    place: str
    judge: Callable[[Sequence[Row]], Finding]


def choose(rows: Sequence[Row], **values: object) -> list[Row]:
    """Return the rows with these values, such as `method="sense", c=0.5`."""
    return [
        row for row in rows if all(getattr(row, name) == value for name, value in values.items())
    ]


def network_name(values: dict[str, object]) -> str:
    """Return the name of the networks with these values, such as "sense, c = 0.5, bisect"."""
    shown = (f"c = {value}" if name == "c" else str(value) for name, value in values.items())
    return ", ".join(shown)


def open_finding(why: str) -> Finding:
    """Return the finding of a claim about networks that are not in the table."""
    return Finding("open", why, judged=False)


def describe(rows: Sequence[Row]) -> str:
    """Return the accuracies of rows that differ by their seed: k / n of each seed."""
    return ", ".join(
        f"{100 * row.accuracy:.1f} % ({row.k} / {row.n}, seed {row.seed}"
        f"{', collapsed' if row.collapsed else ''})"
        for row in sorted(rows, key=lambda row: row.seed)
    )


def higher(first: Sequence[Row], second: Sequence[Row], names: tuple[str, str]) -> Finding:
    """Is the accuracy of the first network higher than that of the second, for every seed?

    Rows of equal seed are compared by McNemar's exact test on the same images, two-sided and
    adjusted by Holm over the seeds. It holds if the first is significantly higher for every seed.
    It does not hold if the second is for at least one seed, and the first for none.
    """
    pairs = _pairs(first, second)
    if not pairs:
        return open_finding(f"no pair of {names[0]} and {names[1]} with the same seed and images")
    counts = [discordant(one, two) for one, two in pairs]
    adjusted = holm([mcnemar(*count) for count in counts])
    signs = [
        (only_first > only_second) - (only_first < only_second) if p <= ALPHA else 0
        for (only_first, only_second), p in zip(counts, adjusted, strict=True)
    ]
    parts = [
        f"seed {one.seed}: {one.k} and {two.k} of {one.n}, {a} only by the first and {b} only "
        f"by the second, p = {p:.2g}{collapsed_words(one, two)}"
        for (one, two), (a, b), p in zip(pairs, counts, adjusted, strict=True)
    ]
    evidence = f"{names[0]} and {names[1]}, {pairs[0][0].attack_label}: {'; '.join(parts)}"
    return Finding(_verdict_of_signs(signs), evidence)


def collapsed_words(first: Row, second: Row) -> str:
    """Say which of two networks has collapsed: its accuracy is that of one class."""
    names = [name for row, name in ((first, "first"), (second, "second")) if row.collapsed]
    return f" (the {' and the '.join(names)} collapsed)" if names else ""


def _verdict_of_signs(signs: Sequence[int]) -> Verdict:
    if all(sign > 0 for sign in signs):
        return "holds"
    return "does not hold" if min(signs) < 0 and max(signs) <= 0 else "open"


def _pairs(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    found = []
    for one in sorted(first, key=lambda row: row.seed):
        for two in second:
            same = one.seed == two.seed and one.images == two.images
            if same and one.correct and len(one.correct) == len(two.correct):
                found.append((one, two))
    return found


def discordant(one: Row, two: Row) -> tuple[int, int]:
    """Return the numbers of images that only the first, and only the second row has right."""
    pairs = list(zip(one.correct, two.correct, strict=True))
    return pairs.count(("1", "0")), pairs.count(("0", "1"))


def all_of(findings: Iterable[Finding]) -> Finding:
    """A claim of several parts: it holds if all hold, and does not hold if one does not."""
    found = list(findings)
    judged = [finding for finding in found if finding.judged]
    if not judged:
        return open_finding("none of its networks is in the table")
    verdict: Verdict = "open"
    if any(finding.verdict == "does not hold" for finding in judged):
        verdict = "does not hold"
    elif all(finding.verdict == "holds" for finding in found):
        verdict = "holds"
    evidence = ". ".join(finding.evidence for finding in judged)
    missing = len(found) - len(judged)
    if missing:
        evidence += f". Not in the table: {missing} of {len(found)} parts"
    return Finding(verdict, evidence)


def collapses(rows: Sequence[Row], what: str) -> Finding:
    """Do more than half of the trainings collapse? By the exact binomial test, one-sided."""
    trainings = _trainings(rows)
    k, n = sum(row.collapsed for row in trainings), len(trainings)
    if not n:
        return open_finding(f"{what} is not in the table")
    verdict: Verdict = "open"
    if binomial_p_value(k, n, 0.5) <= ALPHA:
        verdict = "holds"
    elif binomial_p_value(n - k, n, 0.5) <= ALPHA:
        verdict = "does not hold"
    return Finding(verdict, _count_text(k, n, what))


def never_collapses(rows: Sequence[Row], what: str) -> Finding:
    """Does no training collapse? A single one that does refutes it. It holds if at least five do
    not: by the exact binomial test, one-sided, fewer than half would then collapse."""
    trainings = _trainings(rows)
    collapsed = [row for row in trainings if row.collapsed]
    if not trainings:
        return open_finding(f"{what} is not in the table")
    evidence = _count_text(len(collapsed), len(trainings), what)
    if collapsed:
        evidence += ": " + ", ".join(row.cell for row in collapsed[:5])
        return Finding("does not hold", evidence)
    decided = binomial_p_value(len(trainings), len(trainings), 0.5) <= ALPHA
    return Finding("holds" if decided else "open", evidence)


def _trainings(rows: Sequence[Row]) -> list[Row]:
    return list({row.cell: row for row in rows}.values())


def _count_text(k: int, n: int, what: str) -> str:
    exact = clopper_pearson(k, n)
    return (
        f"{k} of {n} trainings of {what} collapse "
        f"(exact 95 % interval {100 * exact.lower:.0f} to {100 * exact.upper:.0f} %)"
    )


def sign_test(differences: Sequence[float], what: str) -> Finding:
    """Is a difference positive more often than not? The exact sign test over seeds, one-sided in
    both directions."""
    positive, negative = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n = positive + negative
    verdict: Verdict = "open"
    if n and binomial_p_value(positive, n, 0.5) <= ALPHA:
        verdict = "holds"
    elif n and binomial_p_value(negative, n, 0.5) <= ALPHA:
        verdict = "does not hold"
    shown = ", ".join(f"{100 * d:+.1f}" for d in differences)
    return Finding(verdict, f"{what}: {shown} points, one per seed; {positive} of {n} positive")
