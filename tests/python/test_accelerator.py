"""bench/accelerator.py with a tiny network."""

import json

import pytest

from bench import accelerator
from bench.__main__ import table


@pytest.fixture
def bench(monkeypatch, tmp_path):
    def run(*arguments):
        command = [
            "accelerator",
            "--models",
            "cifar-cnn-1",
            "--batch",
            "8",
            "--size",
            "16",
            "--steps",
            "2",
            "--rounds",
            "2",
            "--first",
            "1",
            "--device",
            "cpu",
            *arguments,
            "--out",
            str(tmp_path),
        ]
        monkeypatch.setattr("sys.argv", command)
        accelerator.main()
        return json.loads((tmp_path / "accelerator-cifar-cnn-1.json").read_text())

    return run


def test_each_variant_of_each_method_is_timed_beside_the_plain_one(bench, capsys, tmp_path):
    found = bench("--only", "bfloat16", "tf32")
    rows = {one["title"]: one for one in found["comparisons"]}
    regular, sense = (rows[f"Training step, {method}, cifar-cnn-1"] for method in ("r-at", "sense"))
    assert set(regular["times"]) == {"plain", "bfloat16"}
    assert set(sense["times"]) == {"plain", "bfloat16"}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in sense["times"].values())
    assert "tf32: left out, precision tf32 needs a device of type cuda, got cpu." in sense["notes"]
    counts = [int(part.split()[1]) for part in sense["same"]["plain"].split(", ")]
    assert sum(counts) == 8
    assert "| bfloat16 |" in capsys.readouterr().out
    assert found["provenance"]["command"].startswith("python -m bench.accelerator --models cifar")
    assert "## accelerator-cifar-cnn-1" in table(tmp_path)
