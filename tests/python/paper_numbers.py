"""The numbers of the paper in paper.csv."""

import csv

from conftest import ROOT

LINES = list(csv.DictReader((ROOT / "python/sense/reproduce/paper.csv").read_text().splitlines()))


def paper_value(**columns: str) -> str:
    """Return the one number with these columns, as it is printed."""
    found = [line for line in LINES if all(line[k] == v for k, v in columns.items())]
    assert len(found) == 1, columns
    return found[0]["value"]
