"""Diagnostics of networks with a known fault: the stored results, their table in the documentation,
and some of them computed again."""

import json
from dataclasses import replace

import pytest

from conftest import ROOT
from known_networks import (
    KNOWN,
    TRAINED,
    as_counts,
    as_table,
    count_mistakes,
    evaluate_known,
    mistakes,
    train_known,
    warned,
)
from sense.evaluation.diagnostics import CHECKS, check_name

STORED = sorted((ROOT / "inst/extdata/diagnostics").glob("*.json"))
NAMES = [check_name(check) for check in CHECKS]
QUICK = ("natural training", "untrained", "softmaxed", "stochastic", "saturated", "short steps")


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_the_documentation_has_the_stored_tables(path):
    text, result = (ROOT / "docs/evaluation.md").read_text(), read(path)
    assert as_table(result) in text
    assert as_counts(result) in " ".join(text.split())
    assert result["data"]["sha256"] == read(STORED[0])["data"]["sha256"]
    assert result["provenance"]["commit"]
    assert result["provenance"]["threads"] == 1
    assert "/tmp" not in path.read_text()


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_network_has_every_check(path):
    result = read(path)
    assert list(result["networks"]) == list(KNOWN)
    assert all(list(row["checks"]) == NAMES for row in result["networks"].values())
    found = count_mistakes(result)
    assert found["expected"] == sum(len(known.must) for known in KNOWN.values())
    assert found["warnings"] >= found["expected"] - found["missed"] + found["false"]


def test_there_are_two_sets_of_images():
    assert [read(path)["data"]["draw"] for path in STORED] == [1, None]


def test_the_documentation_has_the_time_of_the_diagnostics():
    seconds = {name: row["seconds"] for name, row in read(STORED[-1])["networks"].items()}
    text = " ".join((ROOT / "docs/evaluation.md").read_text().split())
    longest = max(seconds[name] for name in ("R-AT", "SENSE-AT", "TRADES"))
    assert f"{longest:.0f} s for R-AT, SENSE-AT and TRADES" in text
    assert f"{seconds['MART, eps 0.1']:.0f} s for MART" in text
    assert max(seconds.values()) == seconds["MART, eps 0.1"]


def test_a_mistake_is_named():
    assert mistakes("natural training", {"one-step"}) == ([], ["one-step"])
    assert mistakes("quantised", {"zero-gradients"}) == (["large-eps"], [])
    assert mistakes("untrained", {"chance", "one-class"}) == ([], [])
    result = {
        "networks": {
            "natural training": {"checks": {"chance": "ok", "one-step": "warning"}},
            "untrained": {"checks": {"chance": "ok", "one-step": "skipped"}},
        }
    }
    assert count_mistakes(result) == {
        "warnings": 1,
        "groundless": 2,
        "false": 1,
        "expected": 1,
        "missed": 1,
    }
    assert as_table(result).splitlines()[2:] == [
        "| natural training | none |  | **false** |",
        "| untrained | no better than chance | **missed** | - |",
    ]


@pytest.mark.parametrize("name", QUICK)
def test_the_diagnostics_find_the_fault_and_nothing_else(name, sample, tmp_path):
    known = KNOWN[name]
    settings = replace(known.settings, n=60, steps=min(known.settings.steps, 20), restarts=1)
    content = evaluate_known(replace(known, settings=settings), tmp_path, sample, tmp_path / "out")
    assert mistakes(name, warned(content)) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_diagnostics_find_what_was_stored(name, sample, tmp_path_factory):
    runs = tmp_path_factory.getbasetemp() / "known"
    train_known(runs)
    assert set(TRAINED) <= {path.name for path in runs.iterdir()}
    content = evaluate_known(KNOWN[name], runs, sample, tmp_path_factory.mktemp("out"))
    before = read(STORED[-1])["networks"][name]["checks"]
    stored = {check for check, verdict in before.items() if verdict == "warning"}
    assert mistakes(name, warned(content)) == mistakes(name, stored)
