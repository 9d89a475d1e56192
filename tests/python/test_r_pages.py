"""The help pages of the R package say what holds."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from sense.config import recipe

ROOT = Path(__file__).parents[2]
EXPORTS = re.findall(r"^export\((.+)\)$", (ROOT / "NAMESPACE").read_text(), re.M)
PAGES = {page.stem: page.read_text() for page in (ROOT / "man").glob("*.Rd")}
ROW = re.compile(r"#' \| `(\w+)` \| (.+) \| (.+) \| (.+) \|")


def test_train_sense_shows_the_defaults_of_the_recipes():
    rows = ROW.findall((ROOT / "R/train_sense.R").read_text())
    assert len(rows) > 10
    for column, name in enumerate(("mnist-demo", "cifar10-demo", "mnist"), 1):
        for row in rows:
            default = getattr(recipe(name), row[0])
            if isinstance(default, float):
                assert float(Fraction(row[column])) == pytest.approx(default), row
            else:
                assert row[column] == ("all" if default is None else str(default)), row


def test_the_page_of_the_package_names_every_export():
    page = PAGES["sense-package"]
    assert [name for name in EXPORTS if f"{name}()" not in page] == []


def test_every_page_of_a_function_has_an_example():
    functions = {name: page for name, page in PAGES.items() if "\\usage{" in page}
    assert [name for name, page in functions.items() if "\\examples{" not in page] == []
