"""Every measured number in README, docs and vignettes comes from a stored result, or is declared
with its source; and every accuracy is that of its count."""

import importlib
import re

import pytest

import documented_experiments  # noqa: F401
import documented_public_networks  # noqa: F401
import documented_results  # noqa: F401
import documented_times  # noqa: F401
from conftest import ROOT
from documented_numbers import (
    COMPUTED,
    EVERY_PAGE,
    PAGES,
    computed,
    declared,
    faults,
    measured,
    name_of,
    places,
)
from sense.statistics import wilson

NUMBERED = [page for page in PAGES if measured(page.read_text())]
HELP = (
    "Compute the text from a stored result in tests/python/documented_results.py or "
    "documented_experiments.py, or declare it with its source in "
    "tests/python/documented_numbers.csv"
)


def fragments(page):
    own = [row.text for row in declared() if row.page == name_of(page)]
    return [*computed(name_of(page)), *own]


EVERYWHERE = tuple(row.text for row in declared() if row.page == EVERY_PAGE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_measured_number_has_a_source(page):
    found = faults(page.read_text(), fragments(page), EVERYWHERE)
    assert not found, f"{name_of(page)}: {HELP}:\n" + "\n".join(found)


@pytest.mark.parametrize("page", NUMBERED, ids=name_of)
def test_a_changed_number_is_found(page):
    """Each measured number is changed in turn: its last digit becomes another one."""
    text, known = page.read_text(), fragments(page)
    for begin, end in measured(text):
        last = max(i for i in range(begin, end) if text[i].isdigit())
        other = str((int(text[last]) + 3) % 10)
        changed = text[:last] + other + text[last + 1 :]
        # The lines around it are enough: a fragment that is no longer there covers nothing.
        assert not covered(changed, begin, end, known), text[begin:end]


def covered(text, begin, end, known):
    return any(
        low <= begin and end <= high
        for fragment in (*known, *EVERYWHERE)
        if re.search(r"\d", fragment)
        for low, high in places(text, fragment)
    )


def test_a_number_that_is_added_or_removed_is_found():
    page = ROOT / "README.md"
    text, known = page.read_text(), fragments(page)
    assert not faults(text, known, EVERYWHERE)
    for more in (
        "It has 87.3 % accuracy.",
        "It took 12 s.",
        "It needs 300 MB.",
        "It is 2.5 times as fast.",
        "17 of 20 seeds converge.",
        "8 / 10",
        "1,200 images per second",
        "by 3.1 [2.0, 4.4]",
        "p = 3e-4",
        "| network | accuracy |\n|---|---|\n| a | 0.93 |",
    ):
        assert faults(f"{text}\n\n{more}\n", known, EVERYWHERE), more
    assert any("missing" in fault for fault in faults(text.replace("AutoAttack after", ""), known))
    for no_result in (
        "`--eps 0.3 %`",
        "eps = 8 / 255 in [0, 1]",
        "```\n12 s\n```",
        "Table 3 has 4 rows",
    ):
        assert not faults(f"{text}\n\n{no_result}\n", known, EVERYWHERE), no_result


def test_declared_numbers_have_a_source_that_exists():
    pages = {name_of(page) for page in PAGES}
    texts = [page.read_text() for page in PAGES]
    for row in declared():
        assert row.page in pages | {EVERY_PAGE}
        assert row.source.strip()
        assert measured(row.text), f"{row.text}: no measured number"
        if row.page == EVERY_PAGE:
            assert any(places(text, row.text) for text in texts)
        for path in re.findall(r"\b(?:bench|docs|inst|tests|tools)/[\w./-]*\w", row.source):
            assert (ROOT / path).exists(), path
    assert COMPUTED.keys() <= pages


@pytest.mark.parametrize(
    "row", [row for row in declared() if row.constant], ids=lambda row: row.text
)
def test_declared_constants_are_those_of_the_code(row):
    name, _, value = row.constant.partition(" = ")
    module, _, constant = name.partition(":")
    assert getattr(importlib.import_module(module), constant) == eval(value, {"__builtins__": {}})


ACCURACY = re.compile(
    r"(\d+\.\d)(?: %)? \[(\d+\.\d), (\d+\.\d)\] \((\d+) / (\d+)\)|(\d+\.\d) % \((\d+) / (\d+)\)"
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_accuracy_is_that_of_its_count(page):
    """In the output of sessions too: percentage and 95 % Wilson interval of k / n."""
    for match in ACCURACY.finditer(page.read_text()):
        percent, lower, upper, k, n, alone, k_alone, n_alone = match.groups()
        found = wilson(int(k or k_alone), int(n or n_alone))
        assert f"{100 * found.estimate:.1f}" == (percent or alone), match[0]
        if lower:
            assert (f"{100 * found.lower:.1f}", f"{100 * found.upper:.1f}") == (lower, upper)
