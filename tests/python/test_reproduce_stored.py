"""The stored results of `sense.reproduce` are complete, and agree with themselves and the code."""

import json
import re

import pytest

from conftest import ROOT
from sense.reproduce.claims import judge
from sense.reproduce.experiments import EXPERIMENTS, plan_cells, transfer_cells
from sense.reproduce.results import has_text, read_result, text_of
from sense.reproduce.shortened import shortened
from sense.statistics import wilson

FOLDER = ROOT / "inst/extdata/reproduce"
STEMS = [path.stem for path in sorted(FOLDER.glob("*.json"))]
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|mnt|Users)/")


@pytest.fixture(scope="module", params=STEMS)
def stored(request):
    return request.param, read_result(FOLDER, request.param)


def cells_of(stem):
    name, scale = stem.rsplit("-", 1)
    plan = EXPERIMENTS[name].plans[scale]
    return [*plan_cells(plan), *transfer_cells(plan, FOLDER)]


def test_verdicts_follow_from_the_table(stored):
    _, result = stored
    assert result.description["claims"] == judge(result.description["experiment"], result.rows)


def test_the_networks_are_those_of_the_experiment(stored):
    stem, result = stored
    planned = {cell.name for cell in cells_of(stem)}
    found = {row.cell for row in result.rows}
    assert found <= planned
    assert planned - found <= set(result.description["missing"])
    assert result.description["networks"] == len(found)


def test_what_was_shortened_is_still_true(stored):
    stem, result = stored
    name, scale = stem.rsplit("-", 1)
    plans = EXPERIMENTS[name].plans
    assert result.description["shortened"] == shortened(plans["paper"], plans[scale])


def test_each_network_has_its_provenance_and_outcomes(stored):
    stem, result = stored
    cells = json.loads(text_of(FOLDER, f"{stem}-cells.json"))
    assert set(cells) == {row.cell for row in result.rows}
    for cell in cells.values():
        for entry in ("command", "commit", "time", "torch", "machine", "data_sha256"):
            assert cell[entry], entry
    for row in result.rows:
        assert row.correct.count("1") == row.k or stem.startswith(("fig8", "fig9"))
        interval = wilson(row.k, row.n)
        assert (row.lower, row.upper) == (round(interval.lower, 4), round(interval.upper, 4))


def test_where_it_comes_from_is_recorded_without_names_of_the_machine(stored):
    stem, result = stored
    assert re.fullmatch(r"[0-9a-f]{40}", result.description["provenance"]["commit"])
    assert result.description["data"]
    texts = [text_of(FOLDER, f"{stem}-cells.json"), json.dumps(result.description)]
    assert not any(ABSOLUTE_PATH.search(text) for text in texts)


@pytest.mark.parametrize("name", ["fig8", "fig9"])
def test_figures_of_convergence_have_their_curves(name):
    for stem in (stem for stem in STEMS if stem.startswith(name)):
        assert has_text(FOLDER, f"{stem}-loss.csv")
        assert has_text(FOLDER, f"{stem}-accuracy.csv")
