"""What docs/methods.md shows is what was stored, and what was stored agrees with itself."""

import json

import pytest
import torch

from conftest import ROOT
from sense.config import from_plain
from sense.data import load_data, to_float
from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.summary import plain_accuracy, summarise
from sense.runs import load_model

STORED = ROOT / "inst/extdata/methods"
RUNS = sorted(path.parent for path in STORED.glob("*/*/config.json"))
DEMO = sorted(path.parent for path in ROOT.glob("inst/extdata/mnist-demo/*/config.json"))


@pytest.mark.parametrize("recipe", sorted({run.parent.name for run in RUNS}))
def test_the_tables_shown_are_the_stored_ones(recipe):
    table = (STORED / recipe / "table.md").read_text().strip()
    assert table in (ROOT / "docs/methods.md").read_text()
    shown = {line.split(" | ")[0].strip("| ") for line in table.splitlines()[4:]}
    assert shown == {run.name for run in RUNS if run.parent.name == recipe}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_counts_are_those_of_the_outcomes(run):
    counted = summarise(read_outcomes(run))
    stored = json.loads((run / "evaluation.json").read_text())["accuracy"]
    assert stored == {name: plain_accuracy(accuracy) for name, accuracy in counted.items()}
    assert {"natural", "pgd", "worst"} <= stored.keys()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_the_options_stored_can_be_run_again_and_name_no_place(run):
    description = json.loads((run / "config.json").read_text())
    config = from_plain(description["config"])
    variants = {"sense-noise": "sense", "sense-bisect": "sense", "mart-eps-0.1": "mart"}
    assert config.method == variants.get(run.name, run.name)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == config.pretrain + config.epochs
    assert "/tmp" not in json.dumps(description)
    assert description["provenance"]["commit"]


@pytest.mark.parametrize("run", DEMO, ids=lambda run: run.name)
def test_the_networks_that_ship_are_those_whose_outcomes_are_stored(run):
    first = [row for row in read_outcomes(run) if row.attack == "natural"][:100]
    model = load_model(run).eval()
    with torch.no_grad():
        guesses = model(to_float(load_data("mnist-sample", None).test_x[:100])).argmax(1)
    assert guesses.tolist() == [row.prediction for row in first]
    assert [row.image for row in first] == list(range(100))
