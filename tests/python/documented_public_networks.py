"""Fragments of docs/evaluation.md about two public networks, from inst/extdata/external."""

import csv
from typing import Any

from documented_numbers import EXTDATA, Fragments, on
from sense.evaluation.summary import read_evaluation
from sense.statistics import wilson

EXTERNAL = EXTDATA / "external"


def sources() -> dict[str, dict[str, str]]:
    """Return the networks by name: where their files are, and what is published about them."""
    rows = csv.DictReader((EXTERNAL / "sources.csv").read_text().splitlines())
    return {row["name"]: row for row in rows}


def accuracy(name: str) -> dict[str, Any]:
    """Return the stored accuracies: of drawn images, or with the ending -all of all images."""
    return read_evaluation(EXTERNAL / name)["accuracy"]


def shown(name: str) -> str:
    drawn = accuracy(name)
    found = [accuracy(f"{name}-all")["natural"], drawn["pgd"], drawn["autoattack"]]
    return " | ".join(str(wilson(one["k"], one["n"])) for one in found)


@on("docs/evaluation.md")
def table_of_public_networks() -> Fragments:
    one, other = sources()["convex-adversarial"], sources()["trades"]
    yield (
        f"| natural {one['natural']} %, PGD {one['under_pgd']} %, any attack at least "
        f"{one['proved']} % (proved) | {shown('convex-adversarial')} |"
    )
    yield (
        f"| natural {other['natural']} %, AutoAttack {other['under_autoattack']} % | "
        f"{shown('trades')} |"
    )
    yield f"accuracy under any attack is proved to be at least {one['proved']} %"
