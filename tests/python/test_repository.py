"""One repository, two packages: what must not drift apart."""

import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import sense
from conftest import ROOT


def test_both_packages_have_one_version():
    description = (ROOT / "DESCRIPTION").read_text()
    assert re.search(r"^Version: (.+)$", description, re.MULTILINE).group(1) == sense.__version__


def test_the_r_package_carries_the_one_python_source():
    link = ROOT / "inst" / "python"
    assert link.is_symlink()
    assert (link / "sense" / "train.py").samefile(ROOT / "python" / "sense" / "train.py")


def test_commands_of_the_package_exist():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for target in scripts.values():
        module, name = target.split(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_wheel_holds_all_that_runs(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "python", source / "python", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("sense_at-*.whl")
    assert sense.__version__ in wheel.name
    held = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        path.relative_to(ROOT / "python").as_posix()
        for path in (ROOT / "python/sense").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert needed <= held
