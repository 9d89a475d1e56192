"""Runs that were trained by hand, moved to the folder of their cell."""

import errno
import os
from dataclasses import replace
from pathlib import Path

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


def test_a_link_to_a_run_is_refused_with_the_path_of_the_run(by_hand, tmp_path):
    (tmp_path / "link").symlink_to(by_hand)
    with pytest.raises(InputError, match=f"is a link: pass the folder itself, {by_hand}"):
        adopt(tmp_path / "link", CELLS, tmp_path / "runs")
    assert (tmp_path / "link").is_symlink()
    assert by_hand.exists()
    assert not (tmp_path / "runs").exists()


def test_the_current_folder_is_moved(by_hand, tmp_path, monkeypatch):
    monkeypatch.chdir(by_hand)
    found = adopt(Path("."), CELLS, Path("../runs"))
    monkeypatch.chdir(tmp_path)
    assert not by_hand.exists()
    assert found.name == CELLS[1].name
    RunFolder(tmp_path / "runs" / CELLS[1].name).check()


def test_a_run_is_not_moved_into_itself(by_hand):
    with pytest.raises(InputError, match=r"into itself: .*Choose another --runs"):
        adopt(by_hand, CELLS, by_hand / "runs" / "cpu")
    assert not (by_hand / "runs").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EXDEV, r"another disk: copy it by cp -r .*mine .*runs/smoke/"),
        (errno.EBUSY, "another disk: copy it by"),
        (errno.EACCES, "permission is denied"),
    ],
)
def test_a_run_that_cannot_be_moved_leaves_no_empty_folder(
    by_hand, tmp_path, monkeypatch, code, message
):
    def refused(path, name):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(InputError, match=message):
        adopt(by_hand, CELLS, tmp_path / "runs" / "smoke")
    assert by_hand.exists()
    assert not (tmp_path / "runs").exists()
