"""tools/measure_jpeg, on made-up images and a network of seconds."""

import json
import runpy
import sys

import numpy as np
import pytest
import torch

from conftest import ROOT
from reproduced import train_here
from sense.data.cifar10 import TEST, TRAIN
from sense.sweep import Cell

pytest.importorskip("PIL")
TINY = {
    "train_size": 20,
    "model": "cifar-cnn-1",
    "method": "nt",
    "epochs": 1,
    "batch_size": 20,
    "monitor_size": 8,
    "warmup": 0,
    "schedule": "one-cycle",
    "milestones": [],
}


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(ROOT / "tools/measure_jpeg"))


def test_a_compression_on_the_same_grid_changes_less_than_on_the_shifted_one(tool):
    """The reason for the shift."""
    draw = torch.Generator().manual_seed(1)
    grey = torch.randint(64, 192, (1, 32, 32), generator=draw)
    image = grey.expand(3, -1, -1).to(torch.uint8)
    once = tool["compressed"](image)
    assert (once.shape, once.dtype) == (image.shape, torch.uint8)

    def change(one, other):
        return float((one.float() - other.float()).abs().mean())

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tool["compressed"].__globals__, "SHIFT", 16)  # whole blocks, of colours too
        on_the_grid = tool["compressed"](image)
        again_on_the_grid = tool["compressed"](on_the_grid)
    shifted = tool["compressed"](on_the_grid)
    assert change(on_the_grid, again_on_the_grid) < change(on_the_grid, shifted) / 10


def test_changes_and_counts(tool):
    before = torch.tensor([10, 20, 30, 40], dtype=torch.uint8)
    after = torch.tensor([10, 11, 38, 40], dtype=torch.uint8)
    found = tool["changes"](before, after)
    assert found == {"mean": 4.25, "quantile_99": pytest.approx(8.97), "share_above_8": 0.25}
    first = torch.tensor([True, True, False, True])
    second = torch.tensor([True, False, False, False])
    assert tool["compared"](first, second) == {
        "n": 4,
        "before": 3,
        "after": 1,
        "only_before": 2,
        "only_after": 0,
        "p": 0.5,
    }


def test_a_run_is_measured(tool, tmp_path, monkeypatch):
    draw = np.random.default_rng(1)
    for name in (*TRAIN, *TEST):
        records = draw.integers(0, 256, (20, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (tmp_path / name).write_bytes(records.tobytes())
    cell = Cell("cifar10-cnn", {**TINY, "data_dir": str(tmp_path)})
    run = train_here(cell, tmp_path)
    monkeypatch.setitem(tool["main"].__globals__, "ATTACKED", 10)
    out = tmp_path / "jpeg.json"
    monkeypatch.setattr(
        sys, "argv", ["measure_jpeg", str(run), "--cifar10", str(tmp_path), "--store", str(out)]
    )
    tool["main"]()
    found = json.loads(out.read_text())
    (one,) = found["runs"]
    assert (one["method"], one["c"], one["cell"]) == ("nt", None, cell.name)
    assert (one["natural"]["n"], one["pgd"]["n"]) == (20, 10)
    assert one["pgd"]["before"] <= one["natural"]["before"]
    assert found["pixels"]["mean"] > 1
    assert str(tmp_path) not in out.read_text()
