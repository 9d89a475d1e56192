"""The scripts that make our tables run, on a little of everything."""

import json
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.slow
def test_compare_methods_makes_its_table_and_does_not_repeat_itself(tmp_path):
    command = [
        sys.executable,
        ROOT / "tools/compare_methods",
        "mnist-demo",
        "--out",
        "runs",
        "--store",
        "kept",
        "--methods",
        "mma",
        "sense-bisect",
    ]
    short = [
        "--",
        "--epochs",
        "1",
        "--train-size",
        "300",
        "--monitor",
        "16",
        "--lr",
        "0.1",
        "--",
        "--n",
        "50",
        "--steps",
        "2",
        "--restarts",
        "1",
    ]
    first = subprocess.run(
        [*command, *short], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    table = (tmp_path / "kept/table.md").read_text()
    assert table in first.stdout
    assert "| sense-bisect | " in table
    assert (
        json.loads((tmp_path / "kept/sense-bisect/config.json").read_text())["config"]["boundary"]
        == "bisect"
    )
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "$ python" not in again.stdout
    assert table in again.stdout
