"""The claims about each experiment, and their verdicts."""

from collections.abc import Sequence
from typing import Any

from .cifar10_claims import (
    TABLE_3_CLAIMS,
    TABLE_4_CLAIMS,
    TABLE_5_CLAIMS,
    TABLE_6_CLAIMS,
    TABLE_7_CLAIMS,
)
from .convergence_claims import FIGURE_8_CLAIMS, FIGURE_9_CLAIMS
from .every_method_claims import CIFAR10_CLAIMS, CIFAR10_FAST_CLAIMS, CIFAR10_WRN_CLAIMS
from .mnist_claims import FIGURE_7_CLAIMS, MNIST_CLAIMS
from .table import Row
from .verdicts import Claim

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "fig7": FIGURE_7_CLAIMS,
    "fig8": FIGURE_8_CLAIMS,
    "fig9": FIGURE_9_CLAIMS,
    "table3": TABLE_3_CLAIMS,
    "table4": TABLE_4_CLAIMS,
    "table5": TABLE_5_CLAIMS,
    "table6": TABLE_6_CLAIMS,
    "table7": TABLE_7_CLAIMS,
    "mnist": MNIST_CLAIMS,
    "cifar10": CIFAR10_CLAIMS,
    "cifar10-wrn": CIFAR10_WRN_CLAIMS,
    "cifar10-fast": CIFAR10_FAST_CLAIMS,
}


def judge(name: str, rows: Sequence[Row], decide: bool = True) -> list[dict[str, Any]]:
    """Return the claims about an experiment with their verdicts on these rows. Without `decide`,
    as for networks of seconds, all are open."""
    findings = []
    for claim in CLAIMS[name]:
        found = claim.judge(rows)
        findings.append(
            {
                "id": claim.id,
                "text": claim.text,
                "place": claim.place,
                "verdict": found.verdict if decide else "open",
                "evidence": found.evidence,
            }
        )
    return findings
