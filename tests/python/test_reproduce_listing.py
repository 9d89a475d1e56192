"""The list of experiments, in the command and in docs/reproduce.md."""

import json

from conftest import ROOT
from sense.reproduce import listing
from sense.reproduce.command import reproduce_main
from sense.reproduce.experiments import EXPERIMENTS
from sense.reproduce.listing import markdown, markdown_table, outcome

DESCRIPTION = {
    "seconds": {"training": 5400.0, "attacks": 1800.0},
    "networks": 3,
    "missing": [],
    "claims": [
        {"text": f"claim {i}", "place": "Table 7", "verdict": verdict}
        for i, verdict in enumerate(("holds", "open", "holds", "does not hold"))
    ],
}


def test_the_page_has_the_list_of_the_command(capsys):
    """All its tables of stored results, made anew by `python -m sense.reproduce --markdown`."""
    page = (ROOT / "docs/reproduce.md").read_text()
    reproduce_main(["--markdown"])
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert tables[0] == markdown_table()
    for table in tables:
        assert table in page


def test_what_came_out_is_counted():
    text = "2.0 core-hours, 3 networks; claims: 2 holds, 1 does not hold, 1 open"
    assert outcome(DESCRIPTION) == text
    assert outcome({**DESCRIPTION, "missing": ["a", "b"]}) == f"{text}; 2 networks missing"


def test_a_stored_result_is_in_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "stored_folder", lambda: tmp_path)
    assert "core-hours" not in markdown_table()
    (tmp_path / "table7-cpu.json").write_text(json.dumps(DESCRIPTION))
    (line,) = [line for line in markdown_table().splitlines() if "core-hours" in line]
    assert line.startswith("| `table7` |")
    assert "| claim 3 | Table 7 | does not hold |" in markdown().split("\n\n")[1].splitlines()
    shown = "\n".join(listing.listing())
    assert "cpu: 2.0 core-hours" in shown
    trained = [one for one in EXPERIMENTS.values() if not one.is_drawn_by_r]
    assert shown.count("not run yet") == len(trained) - 1
