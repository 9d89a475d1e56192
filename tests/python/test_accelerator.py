"""bench/accelerator.py, at a size that says nothing about speed."""

import json
import runpy
import sys

import pytest

from conftest import ROOT


@pytest.fixture
def bench(monkeypatch, tmp_path):
    def run(*arguments):
        out = tmp_path / "rows.json"
        command = ["accelerator.py", "--models", "cifar-cnn-1", "--batch", "8", "--size", "16",
                   "--steps", "2", "--rounds", "2", "--first", "1", "--device", "cpu",
                   *arguments, "--out", str(out)]  # fmt: skip
        monkeypatch.setattr(sys, "argv", command)
        runpy.run_path(str(ROOT / "bench/accelerator.py"), run_name="__main__")
        return json.loads(out.read_text())

    return run


def test_each_variant_of_each_method_is_timed_beside_the_plain_one(bench, capsys):
    found = bench("--only", "bfloat16", "compact never", "tf32")
    rows = {(row["method"], row["variant"]): row for row in found["rows"]}
    assert set(rows) == {
        ("r-at", "plain"), ("r-at", "bfloat16"),
        ("sense", "plain"), ("sense", "compact never"), ("sense", "bfloat16"),
    }  # fmt: skip
    assert rows["r-at", "plain"]["ratio"] == rows["sense", "plain"]["ratio"] == 1
    assert all(row["least"] <= row["ratio"] <= row["most"] for row in rows.values())
    assert all(row["milliseconds"] > 0 for row in rows.values())
    assert sum(rows["sense", "plain"]["stages"]) == 8
    printed = capsys.readouterr().out
    assert "tf32: left out, precision tf32 needs a device of type cuda, got cpu" in printed
    assert "| cifar-cnn-1 | sense | compact never |" in printed
    assert found["machine"]["type"] == "cpu"
