"""Reading the folder of somebody else runs no code of theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import own_code
from conftest import ROOT
from sense import bridge
from sense import report as report_module
from sense.checkpoint import WEIGHTS
from sense.cli import evaluate_main, train_main
from sense.config.options import CODE_OPTIONS
from sense.data.idx import write_idx
from sense.data.mnist import FILES, load_folder
from sense.errors import InputError
from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import read_evaluation
from sense.evaluation.targets import open_run, open_source, open_target
from sense.models import build_model
from sense.network_export import export
from sense.runs import CONFIG, load, read_run
from sense.seal import seal_folder
from sense.train import TrainingStopped, fit
from test_concurrent_folders import TINY, images

MARK = "it ran"
MODULE = f"""
from pathlib import Path
from torch import nn
Path({MARK!r}).touch()

def make(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, classes))
"""
QUICK = Settings(attacks=("fgsm",), n=10, diagnostics=False)


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A folder whose config.json names a factory, the data it was made with, and the name; in the
    working directory lies the module."""
    name = f"theirs_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    data, place = images(), tmp_path / "data"
    place.mkdir()
    for part, file in FILES.items():
        write_idx(place / f"{file}.gz", getattr(data, part).numpy().astype("uint8").squeeze())
    data = load_folder(place, "mnist")
    options = {"dataset": "mnist", "data_dir": str(place), "model": f"{name}:make"}
    config = type(TINY)(
        **{**TINY.to_plain(), **options, "data_dir": place, "milestones": (), "milestone_lrs": ()}
    )
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "run", data=data, stop=lambda: 2)
    fit(config, tmp_path / "run", data=data, resume=True, model=f"{name}:make")
    evaluate_run(tmp_path / "run", QUICK, model=f"{name}:make")
    (tmp_path / MARK).unlink()
    del sys.modules[name]
    return tmp_path / "run", data, f"{name}:make"


def kept(folder):
    return (folder / CONFIG).read_text(), (folder / WEIGHTS).read_bytes()


def pixels(data):
    return {"x_test": data.test_x[:, 0].numpy(), "y_test": data.test_y.tolist()}


def command(main, *arguments):
    """The error of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    if stopped.value.code != 0:
        raise InputError("refused")


def exported(run, data, model):
    run.with_name("network.pt2").unlink(missing_ok=True)
    return export(run, run.with_name("network.pt2"), images=data.test_x, model=model)


READERS = {
    "export": exported,
    "load": lambda run, data, model: load(run, model),
    "open_run": lambda run, data, model: open_run(run, data=data, model=model),
    "open_target": lambda run, data, model: open_target(str(run), data=data, model=model),
    "weights": lambda run, data, model: open_target(str(run / WEIGHTS), data=data, model=model),
    "checkpoint": lambda run, data, model: open_target(
        str(run / "checkpoint.pt"), data=data, model=model
    ),
    "source": lambda run, data, model: open_source(
        Settings(source=run, source_model=model), torch.device("cpu")
    ),
    "evaluate": lambda run, data, model: evaluate_run(run, QUICK, data=data, model=model),
    "transfer": lambda run, data, model: evaluate_run(
        run,
        Settings(
            attacks=("transfer",),
            source=run,
            source_model=model,
            steps=1,
            restarts=1,
            n=10,
            diagnostics=False,
        ),
        data=data,
        out=run.with_name("out"),
        model=build_model("capacity-1", (1, 28, 28), 10) if model is None else model,
    ),
    "resume": lambda run, data, model: fit(
        read_run(run)[0], run, data=data, resume=True, model=model
    ),
    "predict": lambda run, data, model: bridge.predict(
        *kept(run), pixels(data)["x_test"], model=model
    ),
    "R's evaluate": lambda run, data, model: bridge.evaluate(
        *kept(run),
        str(run.with_name("r")),
        {"attacks": "fgsm", "n": 10, "diagnostics": False},
        pixels(data),
        model=model,
    ),
    "R's examples": lambda run, data, model: bridge.adversarial_examples(
        *kept(run), {"attacks": "fgsm"}, 2, pixels(data), model=model
    ),
    "R's resume": lambda run, data, model: bridge.train(
        {}, None, str(run), resume=True, model=model
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_factory_that_a_folder_names_is_not_imported(theirs, reader, tmp_path):
    run, data, name = theirs
    message = "(names the network|weights in)" if reader == "transfer" else "names the network"
    with pytest.raises(InputError, match=message) as refused:
        READERS[reader](run, data, None)
    assert not (tmp_path / MARK).exists()
    assert name.partition(":")[0] not in sys.modules
    if reader != "transfer":
        assert f'model = "{name}"' in str(refused.value)
    READERS[reader](run, data, name)
    assert (tmp_path / MARK).exists()


COMMANDS = {
    "evaluate": (
        evaluate_main,
        ["run", "--attacks", "fgsm", "--n", "10", "--no-diagnostics"],
        "--model",
    ),
    "evaluate weights": (
        evaluate_main,
        [f"run/{WEIGHTS}", "--attacks", "fgsm", "--n", "10", "--no-diagnostics"],
        "--model",
    ),
    "transfer": (
        evaluate_main,
        [
            "other",
            "--attacks",
            "transfer",
            "--source",
            "run",
            "--steps",
            "1",
            "--restarts",
            "1",
            "--n",
            "10",
            "--no-diagnostics",
        ],
        "--source-model",
    ),
    "resume": (train_main, ["--resume", "run"], "--model"),
}


@pytest.mark.parametrize("given", COMMANDS)
def test_the_message_of_a_command_says_how_to_name_the_factory(theirs, tmp_path, capsys, given):
    _, data, name = theirs
    main, arguments, option = COMMANDS[given]
    if given == "transfer":
        config = read_run(tmp_path / "run")[0]
        fit(type(config)(**{**vars(config), "model": "capacity-1"}), tmp_path / "other", data=data)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert f"{option} {name}" in output
    assert not (tmp_path / MARK).exists()
    main([*arguments, option, name])
    assert (tmp_path / MARK).exists()


def test_a_report_without_the_name_has_no_adversarial_images(theirs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report_module, "run_r", lambda *arguments: None)
    monkeypatch.setattr(report_module, "find_rscript", lambda: "Rscript")
    run, _, name = theirs
    report_module.report_main(["run"])
    assert f"no adversarial images (run/config.json names the network {name}" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / MARK).exists()
    assert not (run / "examples.json").exists()
    report_module.report_main(["run", "--model", name])
    assert (run / "examples.json").exists()


def test_another_network_can_be_named_instead(theirs, tmp_path):
    run, _, _ = theirs
    mine = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    assert load(run, mine) is mine
    with pytest.raises(InputError, match="weights in"):
        load(run, "capacity-1")
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("shape", [["touch", MARK], "touch", [1, 28, "28"], [0, 1, 1]])
def test_a_command_as_shape_is_rejected(theirs, tmp_path, shape):
    """A known attack: "model": "subprocess:Popen", with the command as data.shape."""
    run, data, _ = theirs
    content = json.loads((run / CONFIG).read_text())
    content["config"]["model"], content["data"]["shape"] = "subprocess:Popen", shape
    (run / CONFIG).write_text(json.dumps(content))
    seal_folder(run)
    for reader, read in READERS.items():
        for model in (None, "subprocess:Popen"):
            with pytest.raises(InputError):
                read(run, data, model)
            assert not (tmp_path / MARK).exists(), reader


COMMAND_MODULES = ("evaluate", "export", "report")


@pytest.mark.parametrize("module", COMMAND_MODULES)
def test_a_command_imports_nothing_from_the_working_directory(tmp_path, module):
    """The working directory has modules with the names of those that a command imports."""
    for name in ("numpy", "torch", "safetensors", "tyro", "tqdm", "json", "certifi"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / MARK)!r}, 'w')\n")
    done = subprocess.run(
        [sys.executable, "-m", f"sense.{module}", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / MARK).exists()


def test_predictions_of_a_fit_are_those_of_its_network(theirs):
    run, data, name = theirs
    found = bridge.predict(*kept(run), pixels(data)["x_test"], model=name)
    expected = load(run, name)(data.test_x.float() / 255).softmax(1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.fixture
def their_options(tmp_path, monkeypatch):
    """A run that was interrupted, and a module of theirs in the working directory. Returns a
    function that writes a name of that module's code into config.json."""
    name = f"theirs_{tmp_path.name}".replace("-", "_").replace("[", "_").replace("]", "")
    code = Path(own_code.__file__).read_text()
    (tmp_path / f"{name}.py").write_text(
        f"{code}\nimport pathlib\npathlib.Path({str(tmp_path / MARK)!r}).touch()\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingStopped):
        fit(TINY, tmp_path / "run", data=images(), stop=lambda: 2)

    def write(option, function):
        content = json.loads((tmp_path / "run" / CONFIG).read_text())
        content["config"][option] = f"{name}:{function}"
        (tmp_path / "run" / CONFIG).write_text(json.dumps(content))
        seal_folder(tmp_path / "run")
        return f"{name}:{function}"

    return write


THEIR_CODE = {
    "method": "paired",
    "optimizer": "adamw",
    "schedule": "halving",
    "augment": "darker",
}


@pytest.mark.parametrize("option", CODE_OPTIONS)
def test_code_that_config_json_names_is_not_imported(their_options, tmp_path, option):
    run, data = tmp_path / "run", images()
    name = their_options(option, THEIR_CODE[option])
    load(run)  # the network is one of ours
    evaluate_run(run, QUICK, data=data)
    bridge.predict(*kept(run), pixels(data)["x_test"])
    with pytest.raises(InputError, match=f"names the {option} {name}.*--{option} {name}"):
        fit(read_run(run)[0], run, data=data, resume=True)
    assert not (tmp_path / MARK).exists()
    assert name.partition(":")[0] not in sys.modules


def test_an_attack_that_evaluation_json_names_is_not_imported(their_options, tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "run_r", lambda *arguments: None)
    monkeypatch.setattr(report_module, "find_rscript", lambda: "Rscript")
    run, data = tmp_path / "run", images()
    name = their_options("method", "paired").replace("paired", "corner")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    evaluate_run(run, Settings(attacks=(name,), n=10, diagnostics=False), data=data)
    (tmp_path / MARK).unlink()
    del sys.modules[name.partition(":")[0]]
    evaluate_run(run, QUICK, data=data)
    report_module.report([run])
    read_evaluation(run)
    assert name in {row.attack for row in read_outcomes(run)}
    assert not (tmp_path / MARK).exists()
