"""tools/store-cifar10, on a network of seconds in place of those of CIFAR10."""

import gzip
import json
import runpy
import subprocess
import sys

import pytest
import torch

from conftest import ROOT
from reproduced import train_here
from sense.data import load_data
from sense.run_folder import RunFolder
from sense.runs import read_metrics
from sense.sweep import Cell

TINY = {
    "method": "sense",
    "model": "capacity-1",
    "train_size": 50,
    "epochs": 1,
    "steps": 1,
    "batch_size": 50,
    "monitor_size": 16,
}


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(ROOT / "tools/store-cifar10"))


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    cells = [Cell("mnist-demo", TINY), Cell("mnist-demo", {**TINY, "method": "nt"})]
    for cell in cells:
        train_here(cell, runs)
    return cells, runs


def test_the_training_table_has_a_row_for_each_network_and_epoch(tool, cells):
    networks, runs = cells
    lines = [line.split(",") for line in tool["training_table"](networks, runs).splitlines()]
    header, rows = lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert header[:4] == ["cell", "method", "c", "boundary"]
    assert [(row["method"], row["c"], row["epoch"]) for row in rows] == [
        ("sense", "0.7", "1"),
        ("sense", "0.7", "2"),
        ("nt", "", "1"),
        ("nt", "", "2"),
    ]
    last = read_metrics(runs / networks[0].name)[-1]
    for name in ("natural_correct", "robust_correct", "stage_a", "stage_c"):
        assert rows[1][name] == str(last[name])
    assert rows[3]["stage_a"] == ""


def test_examples_are_the_first_test_images_with_their_sums(tool, cells, tmp_path):
    networks, runs = cells
    folder = tmp_path / "sense"
    tool["store_examples"](networks[0], runs, folder, None)
    RunFolder(folder).check()
    content = json.loads(gzip.decompress((folder / "examples.json.gz").read_bytes()))
    assert content["cell"] == networks[0].name
    assert content["model"] == "SENSE-AT (c = 0.5), capacity-1"
    images = load_data("mnist-sample").test_x[:4].flatten(1) / 255
    assert torch.allclose(torch.tensor(content["x"]), images, atol=0.0006)
    moved = torch.tensor(content["x_adv"]) - images
    assert 0 < moved.abs().max() <= content["attack"]["eps"] + 0.001


def test_a_folder_without_a_trained_network_is_refused(tmp_path):
    command = [sys.executable, ROOT / "tools/store-cifar10", tmp_path, "--cifar10", tmp_path]
    done = subprocess.run([*command, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no trained network of 20 epochs" in done.stderr
    assert not (tmp_path / "out").exists()
