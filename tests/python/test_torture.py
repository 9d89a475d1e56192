"""A few trials of each part of `make torture` with fixed seeds, and that a trial can fail."""

import os
import random
import re
import subprocess
import sys

import pytest

from conftest import ROOT
from sense.files import write_atomically
from tests.torture import frame
from tests.torture.children import Failure
from tests.torture.damage import KINDS, change_json
from tests.torture.guided import is_installed
from tests.torture.mutations import check_names_folder, compare_reading
from tests.torture.readers import Refusal

PARTS = {
    "kills": 2,
    "evaluation": 2,
    "mutations": 10,
    "together": 2,
    "disks": 3,
    "fuzz": 3,
    "guided": int(is_installed()),
}


@pytest.fixture(scope="module")
def table():
    """The table of trials and failures by part."""
    command = [sys.executable, "-m", "tests.torture", "--short"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    rows = re.findall(r"^([a-z]+) +(\d+) +(\d+) +\d+ s", done.stdout, re.MULTILINE)
    failed = any(int(failures) for _, _, failures in rows)
    assert done.returncode == failed, done.stdout + done.stderr
    return {part: (int(trials), int(failures)) for part, trials, failures in rows}, done.stdout


@pytest.mark.parametrize("part", PARTS)
def test_a_short_torture_has_no_failures(table, part):
    rows, printed = table
    assert rows[part] == (PARTS[part], 0), printed


@pytest.mark.parametrize("way", [*dict.fromkeys(KINDS), change_json])
def test_every_kind_of_damage_changes_the_file(tmp_path, way):
    """In most trials: a digit may be replaced by itself."""
    changed = 0
    for seed in range(10):
        folder = tmp_path / f"{way.__name__}-{seed}" / "run"
        folder.mkdir(parents=True)
        path, other = folder / "config.json", folder / "other.json"
        path.write_text('{\n"eps": 0.25,\n"name": ["x", 1]\n}\n')
        other.write_text('{"other": 2}\n')
        before = path.read_bytes()
        way(random.Random(seed), path, [other])
        plain = path.is_file() and not path.is_symlink() and path.stat().st_size < 1000
        changed += not plain or path.read_bytes() != before
    assert changed >= 7


def test_a_failed_trial_is_kept_with_its_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(frame, "KEPT", tmp_path / "kept")

    def trial(draw, shared, folder):
        write_atomically(folder / "drawn", str(draw.random()))
        if draw.random() < 0.5:
            raise Failure("a file was lost")

    tally = frame.run_part("kills", trial, frame.Shared(tmp_path), 0, 5, 20)
    expected = [
        seed
        for seed in range(5, 25)
        if (draw := random.Random(seed)).random() >= 0 and draw.random() < 0.5
    ]
    assert (tally.trials, tally.failed) == (20, expected)
    kept = tmp_path / "kept" / f"kills-{expected[0]}"
    output = (kept / "found.txt").read_text()
    assert f"--parts kills --seed {expected[0]} --trials 1" in output
    assert "a file was lost" in output
    assert (kept / "drawn").read_text() == str(random.Random(expected[0]).random())
    assert f"--seed {expected[0]}" in capsys.readouterr().out


def test_another_result_and_a_message_without_a_file_name_are_failures(tmp_path):
    compare_reading({"a": 1}, [{"a": 1}], tmp_path)
    compare_reading({"a": Refusal(f"{tmp_path}/x is damaged")}, [{"a": 1}], tmp_path)
    with pytest.raises(Failure, match="returned another result without an error"):
        compare_reading({"a": 2}, [{"a": 1}], tmp_path)
    with pytest.raises(Failure, match="does not name the folder"):
        check_names_folder("it is damaged", tmp_path)
