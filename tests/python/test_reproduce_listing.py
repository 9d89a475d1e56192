"""The list of experiments, in the command and in docs/reproduce.md."""

import json

from conftest import ROOT
from sense.reproduce import listing
from sense.reproduce.command import reproduce_main
from sense.reproduce.experiments import EXPERIMENTS
from sense.reproduce.listing import markdown_table, outcome

DESCRIPTION = {
    "seconds": {"training": 5400.0, "attacks": 1800.0},
    "networks": 3,
    "missing": [],
    "claims": [{"verdict": one} for one in ("holds", "open", "holds", "does not hold")],
}


def test_the_page_has_the_list_of_the_command(capsys):
    """Made anew by `python -m sense.reproduce --markdown`."""
    page = (ROOT / "docs/reproduce.md").read_text()
    assert markdown_table() in page
    reproduce_main(["--markdown"])
    assert capsys.readouterr().out.strip() == markdown_table()


def test_what_came_out_is_counted():
    text = "2.0 core-hours, 3 networks; claims: 2 holds, 1 does not hold, 1 open"
    assert outcome(DESCRIPTION) == text
    assert outcome({**DESCRIPTION, "missing": ["a", "b"]}) == f"{text}; 2 cells are missing"


def test_a_stored_result_is_in_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "stored_folder", lambda: tmp_path)
    assert "core-hours" not in markdown_table()
    (tmp_path / "table7-cpu.json").write_text(json.dumps(DESCRIPTION))
    (line,) = [line for line in markdown_table().splitlines() if "core-hours" in line]
    assert line.startswith("| `table7` |")
    shown = "\n".join(listing.listing())
    assert "cpu: 2.0 core-hours" in shown
    trained = [one for one in EXPERIMENTS.values() if not one.is_drawn_by_r]
    assert shown.count("not run yet") == len(trained) - 1
