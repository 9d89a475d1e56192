"""What a sweep shows on a terminal."""

import io
import re
import sys

import pytest

from sense.sweep import progress as progress_module
from sense.sweep.progress import Overview
from sense.sweep.work import Outcome
from sense.train import TrainingStopped, fit
from sweeps import cell


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Make standard error a terminal; gives it."""
    monkeypatch.setattr(progress_module, "REFRESH", 0.0)

    def use():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return use


def test_a_bar_counts_the_epochs_of_all_cells(terminal, tmp_path, capsys):
    begun, done, missing = (cell((), seed=seed, epochs=3) for seed in (1, 2, 3))
    cells, screen = [begun, done, missing], terminal()
    with Overview(cells, tmp_path, 1, show=True) as overview:
        overview.update()
        assert "0/3 cells, 0/9 epochs |" in screen.getvalue()
        fit(done.config, tmp_path / done.name)
        overview.ended(done, Outcome("done"))
        stops = iter([None] * 5 + [15])  # at the end of the second epoch
        with pytest.raises(TrainingStopped):
            fit(begun.config, tmp_path / begun.name, stop=lambda: next(stops))
        overview.update()
        assert re.search(r"1/3 cells, 5/9 epochs, about [0-9]+ s left \|", screen.getvalue())
    assert f"[1/3] {done.name}: done, about" in capsys.readouterr().out


def test_what_is_done_already_is_said(tmp_path, capsys):
    done = cell((), method="nt")
    fit(done.config, tmp_path / done.name)
    with Overview([done, cell((), method="nt", seed=2)], tmp_path, 1, show=True):
        pass
    assert capsys.readouterr().out == "1 of 2 cells are done already\n"


def test_without_show_nothing_is_printed(terminal, tmp_path, capsys):
    one, screen = cell(()), terminal()
    with Overview([one], tmp_path, 1, show=False) as overview:
        overview.ended(one, Outcome("failed", "a reason"))
        overview.stopping()
        overview.update()
    assert capsys.readouterr().out == ""
    assert screen.getvalue() == ""
