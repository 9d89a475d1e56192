"""Runs that were trained by hand, moved to the folder of their cell."""

from dataclasses import replace

import pytest

from reproduced import train_here
from sense.config import recipe
from sense.errors import InputError
from sense.reproduce.adopt import adopt, matching_cell
from sense.run_folder import RunFolder
from sense.sweep import Cell, State, status_of
from sense.train import fit

OPTIONS = {"model": "capacity-1", "train_size": 100, "pretrain": 0, "epochs": 1, "monitor_size": 16}
CELLS = [
    Cell("mnist-demo", {**OPTIONS, "method": method, "c": c})
    for method in ("sense", "r-at")
    for c in (0.3, 0.5)
]


@pytest.fixture
def by_hand(tmp_path):
    """A run with the options of the second cell, among options that do not change the result."""
    config = replace(recipe("mnist-demo"), **OPTIONS, method="sense", c=0.5, threads=1)
    fit(config, tmp_path / "mine")
    return tmp_path / "mine"


def test_a_run_is_moved_under_the_name_of_its_cell(by_hand, tmp_path):
    found = adopt(by_hand, CELLS, tmp_path / "runs")
    assert found == tmp_path / "runs" / CELLS[1].name
    assert not by_hand.exists()
    assert status_of(CELLS[1], tmp_path / "runs").state == State.TRAINED
    RunFolder(found).check()


def test_an_option_that_the_method_does_not_use_does_not_matter(tmp_path):
    fit(replace(recipe("mnist-demo"), **OPTIONS, method="r-at", c=0.9), tmp_path / "mine")
    assert matching_cell(tmp_path / "mine", CELLS).config.method == "r-at"


def test_a_run_with_other_options_stays_where_it_is(by_hand, tmp_path):
    with pytest.raises(InputError, match=r"differs in c \(0.5, not 0.3\)"):
        adopt(by_hand, CELLS[:1], tmp_path / "runs")
    assert by_hand.exists()


def test_a_cell_that_is_there_is_not_overwritten(by_hand, tmp_path):
    train_here(CELLS[1], tmp_path / "runs")
    with pytest.raises(InputError, match="exists already"):
        adopt(by_hand, CELLS, tmp_path / "runs")
    assert by_hand.exists()


def test_a_run_that_is_being_trained_is_not_moved(by_hand, tmp_path):
    with RunFolder(by_hand) as run:
        run.lock()
        with pytest.raises(InputError, match="in use"):
            adopt(by_hand, CELLS, tmp_path / "runs")
    assert by_hand.exists()
