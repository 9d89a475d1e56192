"""One repository, two packages: what must not drift apart."""

import re

import tomllib

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
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for target in scripts.values():
        module, name = target.split(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_each_source_file_has_a_test():
    sources = {path for path in (ROOT / "python" / "sense").rglob("*.py")}
    concepts = {path.stem if path.stem != "__init__" else path.parent.name for path in sources} - {
        "sense",
        "attacks",
        "data",
    }
    in_one_file = {"base", "nt", "r_at"} | {"capacity_cnn", "small_cnn"}  # test_methods, _models
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests/python").glob("test_*.py")}
    assert concepts - in_one_file <= tested
