"""The measured numbers in README, docs and vignettes, and the places where each comes from.

A measured number belongs to a fragment of text. Either the fragment is computed from stored results
(documented_results.py, documented_experiments.py, documented_times.py), or documented_numbers.csv
declares it with its source: the paper, a list of other people, or a constant of the code. Code,
options and the output of sessions are left out.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conftest import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(path for path in (ROOT / "vignettes").iterdir() if path.suffix in (".Rmd", ".child")),
]
EXTDATA = ROOT / "inst/extdata"
DECLARED = Path(__file__).with_suffix(".csv")
EVERY_PAGE = "*"

NUMBER = r"(?<![\w.,/-])\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"
UNITS = (
    r"%|percent|percentage points?|points?|ms|s|seconds?|minutes?|hours?|days?|[KMG]i?B|times|"
    r"images per second"
)
MEASURED = re.compile(
    rf"(?:{NUMBER},? (?:to|and|or) )?{NUMBER}\s?(?:{UNITS})(?![\w])"
    rf"|(?:{NUMBER} and )?{NUMBER}\s(?:of|of the|/)\s(?!255){NUMBER}"
    rf"|\[(?!0, 1\]){NUMBER},\s{NUMBER}\]"
    rf"|\bp\s=\s\d+(?:\.\d+)?e-\d+"
    rf"|±\s{NUMBER}"
)
# The head of a table of measurements: its cells of numbers are measured, whatever their unit.
HEAD = re.compile(r"%|natural|PGD|accuracy|time of|error of|resnet|WRN", re.IGNORECASE)
CELL = re.compile(r"(?<=\|)[ ]*\d[\d.,; ]*(?=\|)")

Fragments = Iterator[str]
COMPUTED: dict[str, list[Callable[[], Fragments]]] = {}


def on(*pages: str) -> Callable[[Callable[[], Fragments]], Callable[[], Fragments]]:
    """Name the pages that show the fragments which the function yields."""

    def register(function: Callable[[], Fragments]) -> Callable[[], Fragments]:
        for page in pages:
            COMPUTED.setdefault(page, []).append(function)
        return function

    return register


@cache
def computed(page: str) -> tuple[str, ...]:
    """Return the fragments of a page."""
    return tuple(text for function in COMPUTED.get(page, ()) for text in function())


@dataclass(frozen=True)
class Declared:
    """A fragment of a page with numbers that are not computed, and their source. `constant` is
    empty, or the constant of the code with that value, as MODULE:NAME = VALUE."""

    page: str
    text: str
    source: str
    constant: str


def declared() -> list[Declared]:
    with DECLARED.open(newline="") as file:
        return [Declared(**row) for row in csv.DictReader(file)]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """Replace code and comments by as many spaces, so that positions stay."""
    code = r"^```.*?^```$|^---\n.*?^---$|^ {4}(?! ).*?$|<!--.*?-->|``.*?``|`[^`]*`"

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return re.sub(code, blank, text, flags=re.M | re.S)


def measured(text: str) -> list[tuple[int, int]]:
    """Return the positions of all measured numbers."""
    plain = without_code(text)
    found = {match.span() for match in MEASURED.finditer(plain)}
    for table in re.finditer(r"(?:^\|.*\n?)+", plain, re.M):
        head = table[0].partition("\n")[0]
        if HEAD.search(head):
            body = table.start() + len(head)
            found |= {
                (match.start(), match.end())
                for match in CELL.finditer(plain, body, table.end())
                if not row_name(plain, match.start())
            }
    return sorted(found)


def row_name(text: str, position: int) -> bool:
    """Whether the cell is the first one of its row."""
    return text[text.rfind("\n", 0, position) + 1 : position].count("|") == 1


def places(text: str, fragment: str) -> list[tuple[int, int]]:
    """Return where a fragment is, however its lines are broken."""
    words = r"\s+".join(re.escape(word) for word in fragment.split())
    return [match.span() for match in re.finditer(rf"(?<![\d.,]){words}(?!\.?\d)", text)]


def faults(text: str, fragments: list[str], everywhere: tuple[str, ...] = ()) -> list[str]:
    """Return fragments that the text lacks, and measured numbers outside of every fragment."""
    spans, found = [], []
    for fragment in fragments:
        here = places(text, fragment)
        if not here:
            found.append(f"missing: {fragment}")
        spans += here
    for fragment in everywhere:
        spans += places(text, fragment)
    for begin, end in measured(text):
        inside = (low <= begin and end <= high for low, high in spans)
        if not any(inside):
            line = 1 + text.count("\n", 0, begin)
            found.append(f"line {line}: {text[begin:end].strip()}")
    return found
