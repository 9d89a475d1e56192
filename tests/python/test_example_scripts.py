"""The examples run, and the sessions of the first ten minutes print what their pages show."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import transcripts

EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".R"))
# What the example has to print, apart from numbers.
PRINTED = {
    "checkpoint.py": "PGD-100 x 5",
    "export.py": "predicted by onnxruntime:",
    "figure.R": "written: accuracies.png",
    "own_folder.py": "of ('eight', 'three')",
    "own_loop.py": "worst attack per image",
    "own_method.py": "epoch   4/4  train",
    "own_network.py": "18378 parameters",
    "resume.py": "the same weights: True",
    "sweep.py": "(sd of 2 seeds)",
    "table.py": "accuracy by cross-validation:",
    "two_languages.R": "<sense_evaluation> run: SENSE-AT (c = 0.7), capacity-3",
}


def needs_r(path_or_page):
    if not shutil.which("Rscript"):
        pytest.skip(f"{path_or_page} needs R")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs(example, tmp_path):
    program = sys.executable
    if example.suffix == ".R":
        needs_r(example.name)
        program = "Rscript"
    done = subprocess.run(
        [program, str(example)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert PRINTED[example.name] in done.stdout


def test_the_examples_are_listed():
    table = (ROOT / "examples/README.md").read_text()
    assert {path.name for path in EXAMPLES} == set(re.findall(r"\]\((.*?)\)", table))


@pytest.mark.parametrize("page", transcripts.PAGES, ids=lambda page: page.stem)
def test_the_session_prints_what_the_page_shows(page):
    """Apart from numbers, which differ between machines."""
    if page.stem.endswith("-r"):
        needs_r(page.name)
    text = page.read_text()
    shown = [output.rstrip("\n") for _, _, output in transcripts.blocks(text)]
    assert sum(map(bool, shown)) >= 4
    printed = transcripts.outputs(text)
    assert [without_numbers(text) for text in printed] == [without_numbers(text) for text in shown]


def without_numbers(text):
    text = re.sub(r"run-[0-9a-f]+", "run-#", text)
    text = re.sub(r"[+-]?\d+(\.\d+)?(e-?\d+)?", "#", text)
    return re.sub(r"[ \n]+", " ", re.sub(r", about # \w+ left", "", text))
