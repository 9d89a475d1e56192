"""`import sense`: the names, when they are imported, and the page of `help(sense)`."""

import pydoc
import re
import subprocess
import sys
import textwrap

import pytest
import torch

import sense
from conftest import ROOT

NAMES = [
    "Callback",
    "Config",
    "ImageData",
    "Normalised",
    "SenseClassifier",
    "as_data",
    "evaluate",
    "export",
    "fit",
    "load",
    "pgd",
    "recipe",
    "sensible",
]


def run_python(code: str, *options: str) -> str:
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "python")}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_dir_shows_the_public_names_only():
    assert dir(sense) == NAMES
    assert sense.__all__ == NAMES


def test_every_public_name_is_the_object_of_that_name():
    for name in NAMES:
        found = getattr(sense, name)
        assert callable(found)
        assert found.__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'sense' has no attribute 'trian'"):
        _ = sense.trian


def test_importing_sense_does_not_import_torch():
    assert run_python("import sense, sys; print('torch' in sys.modules)") == "False"


@pytest.mark.parametrize(
    "imports",
    [
        "import sense.evaluate",
        "import sense; sense.evaluate; import sense.evaluate; import sense.evaluation.evaluate",
    ],
)
def test_sense_evaluate_is_the_function_whatever_is_imported(imports):
    code = f"{imports}; from sense import evaluate; print(sense.evaluate.__name__, evaluate is "
    assert run_python(f"{code}sense.evaluate, type(evaluate).__name__)") == "evaluate True function"


def test_sense_evaluate_is_the_function_inside_its_command():
    code = (
        "import runpy, sys, sense; sys.argv = ['sense.evaluate', '--version']\n"
        "runpy.run_module('sense.evaluate', run_name='__main__', alter_sys=True)\n"
        "print(type(sense.evaluate).__name__)"
    )
    assert run_python(code).splitlines()[-1] == "function"


def test_help_has_every_name_and_command():
    page = pydoc.plain(pydoc.render_doc(sense))
    for name in NAMES:
        assert re.search(rf"^ +{name} +\w", page, re.MULTILINE), name
    for command in ("train", "evaluate", "sweep", "reproduce", "export", "report", "seal"):
        assert f"python -m sense.{command} " in page


def test_the_example_of_the_help_page_runs(tmp_path, monkeypatch):
    """With a smaller network and fewer images than on the page."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^    .*\n(?:    .*\n|\n)*", sense.__doc__, re.MULTILINE)
    first, loop, own = map(textwrap.dedent, blocks[:3])
    small = 'model="capacity-1", train_size=500, epochs=1, monitor_size=16, method="sense"'
    names = {"torch": torch}
    exec(first.replace('method="sense"', small).replace("steps=40", "steps=2"), names)
    exec(loop, names)
    assert names["loss"].isfinite()
    x = torch.rand(40, 3, 8, 8)
    y = torch.arange(40) % 2
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
    names |= {"train_x": x, "train_y": y, "test_x": x, "test_y": y, "network": network}
    names["classes"] = ("cat", "dog")
    exec(own.replace("size=None", "size=None, epochs=1, pretrain=0, monitor_size=8"), names)
    assert (tmp_path / "runs" / "mine" / "model.safetensors").is_file()
