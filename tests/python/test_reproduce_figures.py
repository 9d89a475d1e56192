"""Figures 2 to 6, drawn by R."""

import shutil
import struct

import pytest

from conftest import ROOT
from sense.errors import InputError, MissingFileError
from sense.reproduce import figures
from sense.reproduce.experiments import EXPERIMENTS
from sense.reproduce.figures import FIGURES, draw_figure

NEEDS_R = pytest.mark.skipif(
    shutil.which("Rscript") is None or not (ROOT / ".Rlib/sense").is_dir(),
    reason="needs R and its package sense in .Rlib",
)


def test_each_figure_has_a_function_of_r():
    exported = (ROOT / "NAMESPACE").read_text()
    for figure in FIGURES:
        assert f"export({figure.name.replace('fig', 'figure')})" in exported
        assert EXPERIMENTS[figure.name].is_drawn_by_r


def test_without_r_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingFileError, match=r"R draws figures 2 to 6, .* install R"):
        draw_figure("fig3", tmp_path)
    assert list(tmp_path.iterdir()) == []


def r_that(tmp_path, monkeypatch, script):
    path = tmp_path / "Rscript"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_without_its_package_it_says_how_to_get_it(tmp_path, monkeypatch):
    r_that(tmp_path, monkeypatch, f"exit {figures.NO_PACKAGE}")
    with pytest.raises(InputError, match="does not find it: run R CMD INSTALL"):
        draw_figure("fig3", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_error_of_r_is_shown(tmp_path, monkeypatch):
    r_that(tmp_path, monkeypatch, "echo no device >&2; exit 1")
    with pytest.raises(RuntimeError, match="no device"):
        draw_figure("fig3", tmp_path / "out")


@NEEDS_R
@pytest.mark.slow
@pytest.mark.parametrize("name", [figure.name for figure in FIGURES])
def test_a_figure_is_drawn(name, tmp_path, monkeypatch):
    monkeypatch.setenv("R_LIBS", str(ROOT / ".Rlib"))
    path = draw_figure(name, tmp_path / "out")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (800, 600)
