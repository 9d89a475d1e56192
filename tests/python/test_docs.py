"""What docs/methods.md shows is what was stored, and what was stored agrees with itself."""

import csv
import gzip
import json

import pytest

from conftest import ROOT
from sense.config import from_plain

STORED = ROOT / "inst/extdata/methods"
RUNS = sorted(path.parent for path in STORED.glob("*/*/config.json"))


@pytest.mark.parametrize("recipe", sorted({run.parent.name for run in RUNS}))
def test_the_tables_shown_are_the_stored_ones(recipe):
    table = (STORED / recipe / "table.md").read_text().strip()
    assert table in (ROOT / "docs/methods.md").read_text()
    shown = {line.split(" | ")[0].strip("| ") for line in table.splitlines()[4:]}
    assert shown == {run.name for run in RUNS if run.parent.name == recipe}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_counts_are_those_of_the_outcomes(run):
    rows = list(csv.DictReader(gzip.decompress((run / "outcomes.csv.gz").read_bytes()).decode()
                               .splitlines()))  # fmt: skip
    for attack, accuracy in json.loads((run / "evaluation.json").read_text())["accuracy"].items():
        correct = [int(row["correct"]) for row in rows if row["attack"] == attack]
        assert (sum(correct), len(correct)) == (accuracy["k"], accuracy["n"])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_the_options_stored_can_be_run_again_and_name_no_place(run):
    description = json.loads((run / "config.json").read_text())
    config = from_plain(description["config"])
    variants = {"sense-noise": "sense", "sense-bisect": "sense", "mart-eps-0.1": "mart"}
    assert config.method == variants.get(run.name, run.name)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == config.pretrain + config.epochs
    assert "/tmp" not in json.dumps(description)
    assert description["provenance"]["commit"]
