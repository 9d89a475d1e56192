import json
import re
import shutil
import signal
from dataclasses import fields, replace
from typing import get_type_hints

import numpy as np
import pytest

from sense import __version__, errors
from sense.checkpoint import WEIGHTS
from sense.cli import convert_fractions, evaluate_main, one_line_errors, train_main
from sense.config import Config
from sense.config.checks import float_options
from sense.config.options import option_types
from sense.data.idx import write_idx
from sense.data.mnist import FILES, load_folder
from sense.evaluation.settings import Settings
from sense.runs import read_run
from sense.seal import seal_folder
from sense.train import TrainingStopped, fit
from test_errors import KINDS

TINY = [
    "--model",
    "capacity-1",
    "--method",
    "nt",
    "--pretrain",
    "0",
    "--epochs",
    "1",
    "--batch-size",
    "2000",
    "--monitor-size",
    "16",
    "--steps",
    "1",
    "--threads",
    "1",
]


def fails(capsys, main, *arguments):
    """The one line that a command leaves, with exit status 2."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    return printed.err


@pytest.mark.parametrize(
    ("main", "options"),
    [
        (train_main, [option.name for option in fields(Config)] + ["out", "resume"]),
        (
            evaluate_main,
            [option.name for option in fields(Settings)]
            + ["weights", "model", "dataset", "data_dir", "out", "overwrite", "device", "threads"],
        ),
    ],
)
def test_help_names_every_option(capsys, main, options):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for option in options:
        assert re.search(rf"--{option.replace('_', '-')}[ ,]", printed), option
    assert "--config." not in printed  # options have no prefix
    assert "--settings" not in printed


def test_help_of_a_recipe_has_its_defaults(capsys):
    with pytest.raises(SystemExit):
        train_main(["mnist", "--help"])
    printed = capsys.readouterr().out
    assert re.search(r"--epochs INT +number of epochs of the method \(default: 500\)", printed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cifar"], "recipe must be one of mnist-demo, mnist-fast, mnist, "),
        (["--dataset", "mnist", "--data-dir", "/nowhere"], "no train-images-idx3-ubyte[.gz] in"),
        (["--resume", "/nowhere"], "no config.json in /nowhere: pass the folder of a run"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
        (["mnist", "--resume", "/nowhere"], "uses the options of the run: leave out the recipe"),
        (["--eps", "8/0"], "a fraction must be a number over a number, got '8/0'"),
        (["--eps", "8/255/2"], "a fraction must be a number over a number, got '8/255/2'"),
    ],
)
def test_bad_input_to_train_ends_in_one_line(capsys, arguments, message):
    line = fails(capsys, train_main, *arguments)
    assert line.startswith("sense.train: ")
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "/nowhere is not the folder of a run, a file of weights, or MODULE:FACTORY"),
        ([".", "--device", "abacus"], "no config.json in ."),
        (["a", "b", "--weights", "w.pt"], "--weights needs exactly one target"),
        ([], "pass a target"),
    ],
)
def test_bad_input_to_evaluate_ends_in_one_line(capsys, arguments, message):
    line = fails(capsys, evaluate_main, *arguments)
    assert line.startswith("sense.evaluate: ")
    assert message in line


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (train_main, ["--c", "2"], "c must be a probability, from 0 to 1, got 2.0"),
        (train_main, ["--epochs", "many"], "--epochs: .*'many'"),
        (train_main, ["--method", "magic"], "method must be one of nt, r-at"),
        (train_main, ["--epslion", "0.1"], "--epslion"),
        (evaluate_main, ["x", "--restarts", "0"], "restarts must be a whole number >= 1, got 0"),
        (evaluate_main, ["x", "--attacks", "magic"], "'magic'"),
        (evaluate_main, ["x", "--attacks", "transfer"], "transfer needs a source network"),
    ],
)
def test_options_that_do_not_parse_are_named(capsys, main, arguments, message):
    """tyro's own words, in a frame."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert re.search(message, errors)
    assert "--help" in errors


def test_a_broken_loss_ends_in_one_line(capsys, tmp_path):
    line = fails(capsys, train_main, *TINY, "--lr", "1e30", "--out", tmp_path / "run")
    assert "the loss became nan" in line
    assert "lower --lr (now 1e+30)" in line


def test_a_run_folder_is_not_overwritten(capsys, tmp_path, few, tiny):
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path, data=few, stop=lambda: 2)
    assert f"resume it with --resume {tmp_path}" in fails(
        capsys, train_main, *TINY, "--out", tmp_path
    )


@pytest.mark.parametrize("kind", [ValueError, ImportError, OSError, ArithmeticError, KeyError])
def test_an_error_that_is_not_the_users_keeps_its_traceback(kind):
    with pytest.raises(kind, match="a fault of ours"), one_line_errors("sense.train"):
        raise kind("a fault of ours")


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in KINDS])
def test_each_kind_of_bad_input_becomes_one_line(capsys, kind):
    with pytest.raises(SystemExit, match="2"), one_line_errors("sense.train"):
        raise kind("weights of another network:\n\tmissing fc.weight\n\tmissing fc.bias")
    assert capsys.readouterr().err == (
        "sense.train: weights of another network: missing fc.weight missing fc.bias\n"
    )


def test_a_closed_pipe_is_not_an_error(start, tmp_path):
    """As with `python -m sense.train | head -n 1`: one line is read, then the pipe is closed."""
    process = start("sense.train", *TINY, "--epochs", 3, "--train-size", 50)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, output = process.communicate(timeout=120)
    assert (process.returncode, output) == (128 + signal.SIGPIPE, "")


def test_a_run_is_trained_and_evaluated_from_the_shell(start, tmp_path):
    """The two commands in processes of their own, on the sample."""
    process = start("sense.train", *TINY)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    epoch, where = output.splitlines()
    assert re.fullmatch(
        r"epoch +1/1 +train +loss \d\.\d+ +natural .* % \(n = 16 training images\) .*s", epoch
    )
    run = tmp_path / where.removeprefix("run: ")
    assert re.fullmatch(r"nt-\d{8}-\d{6}", run.name)
    assert read_run(run)[0].batch_size == 2000

    quick = ["--n", 50, "--steps", 5, "--restarts", 2, "--queries", 20]
    process = start("sense.evaluate", run, *quick)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith(
        f"{run.name} (capacity-1) on mnist-sample, the first 50 of 2000 test"
    )
    both = r" +\d+\.\d % \[\d+\.\d, \d+\.\d\] \(\d+ / 50\) +\[\d+\.\d, \d+\.\d\]"
    assert re.fullmatch(rf"natural{both} +\d+\.\d", lines[2])
    assert re.fullmatch(rf"PGD-5 x 2{both} +\d+\.\d", lines[3])
    assert re.fullmatch(rf"worst attack per image{both}", lines[4])
    assert re.match(
        r"Diagnostics used extra forward passes on \d+ images .*: \d+ warning", lines[5]
    )
    assert "Stronger attacks exist" in output
    assert f"outcomes: {run / 'outcomes.csv'}" in lines
    output = json.loads((run / "evaluation.json").read_text())
    assert output["accuracy"]["natural"]["n"] == 50
    assert f"({output['accuracy']['pgd']['k']} / 50)" in lines[3]
    assert "-m sense.evaluate" in output["provenance"]["command"]
    assert (run / "outcomes.csv").read_text().count("\n") == 101


def test_two_files_of_weights_are_compared(capsys, tmp_path, trained, monkeypatch):
    """A factory of the user's with the weights of a run, and those weights again: no difference."""
    folder, _ = trained
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / WEIGHTS, "mine.safetensors")
    shutil.copy(folder / WEIGHTS, "yours.safetensors")
    common = [
        "--model",
        "capacity-1",
        "--dataset",
        "mnist-sample",
        "--eps",
        "0.1",
        "--n",
        "30",
        "--steps",
        "2",
        "--restarts",
        "1",
        "--no-diagnostics",
    ]
    evaluate_main(["mine.safetensors", "yours.safetensors", *common])
    printed = capsys.readouterr().out
    assert re.search(r"mine - yours +pgd +\d+ +0 +0 +\d+ +1, 1\n", printed)
    output = json.loads((tmp_path / "evaluations/comparison.json").read_text())
    assert [row["attack"] for row in output["pairs"]] == ["natural", "pgd"]
    assert all(row["p"] == 1 for row in output["pairs"])
    evaluate_main(["mine.safetensors", "yours.safetensors", *common, "--out", "other"])
    assert "other/comparison.json" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == [
        "comparison.json",
        "manifest.json",
        "mine",
        "yours",
    ]
    evaluate_main(["sense.models:SmallCNN", *common[2:], "--out", "one"])
    content = json.loads((tmp_path / "one/evaluation.json").read_text())
    assert content["target"]["model"] == "sense.models:SmallCNN"


def test_runs_that_cannot_be_compared_are_refused_before_they_are_evaluated(
    capsys, tmp_path, trained, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder, data = trained
    runs = [shutil.copytree(folder, tmp_path / name) for name in ("one", "two")]
    content = json.loads((runs[1] / "config.json").read_text())
    content["config"]["eps"] = 0.2
    (runs[1] / "config.json").write_text(json.dumps(content))
    seal_folder(runs[1])
    monkeypatch.setattr("sense.evaluation.targets.load_run_test_data", lambda *args: data)
    quick = ["--attacks", "fgsm", "--n", "5", "--no-diagnostics", "--out", "both"]
    with pytest.raises(SystemExit) as stopped:
        evaluate_main([*map(str, runs), *quick])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "one and two cannot be compared in pairs with other options: eps (0.08, not 0.2)" in (
        message
    )
    assert not (tmp_path / "both").exists()
    evaluate_main([*map(str, runs), *quick, "--eps", "0.1"])
    assert (tmp_path / "both/comparison.json").exists()


def test_other_options_in_the_same_folder_end_in_one_line(capsys, tmp_path, trained, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = [
        str(trained[0] / WEIGHTS),
        "--model",
        "capacity-1",
        "--dataset",
        "mnist-sample",
        "--n",
        "30",
        "--steps",
        "2",
        "--restarts",
        "1",
        "--no-diagnostics",
        "--out",
        "o",
    ]
    evaluate_main(common)
    capsys.readouterr()
    line = fails(capsys, evaluate_main, *common, "--eps", "0.2")
    assert "holds an evaluation with other options: eps (0.08, not 0.2)" in line
    evaluate_main([*common, "--eps", "0.2", "--overwrite"])
    assert "radius 0.2" in capsys.readouterr().out


def test_a_run_is_evaluated_on_data_that_were_moved(capsys, tmp_path, sample, tiny):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    for part, name in FILES.items():
        array = getattr(sample, part)[:100].numpy().astype("uint8")
        write_idx(here / f"{name}.gz", array.squeeze())
    config = replace(tiny, dataset="mnist", data_dir=here, pretrain=0, epochs=1)
    fit(config, tmp_path / "run", data=load_folder(here, "mnist"))
    here.rename(there)
    quick = [tmp_path / "run", "--n", 20, "--steps", 2, "--restarts", 1, "--no-diagnostics"]
    assert f"in {here}" in fails(capsys, evaluate_main, *quick)
    evaluate_main([str(argument) for argument in [*quick, "--data-dir", there]])
    assert "/ 20)" in capsys.readouterr().out


FLOATS = {
    train_main: float_options(option_types()),
    evaluate_main: float_options(get_type_hints(Settings)),
}


@pytest.mark.parametrize("main", FLOATS)
def test_every_option_that_is_a_number_may_be_a_fraction(main):
    assert {"eps", "step_size"} <= FLOATS[main]
    for name in FLOATS[main]:
        option = f"--{name.replace('_', '-')}"
        hints = option_types() if main is train_main else get_type_hints(Settings)
        assert convert_fractions([option, "8/255"], hints) == [option, repr(8 / 255)]
        assert convert_fractions([f"--{name}=8/255"], hints) == [f"--{name}={8 / 255!r}"]
    several = ["runs/a", "--curve", "0", "4/255", "8/255", "--out", "8/255", "--source=1/2"]
    hints = get_type_hints(Settings)
    assert convert_fractions(several, hints) == [
        "runs/a",
        "--curve",
        "0",
        repr(4 / 255),
        repr(8 / 255),
        "--out",
        "8/255",
        "--source=1/2",
    ]


def test_a_fraction_reaches_the_run_and_the_evaluation(tmp_path, capsys):
    run = tmp_path / "run"
    train_main([*TINY, "--eps", "8/255", "--step-size=2/255", "--out", str(run)])
    assert read_run(run)[0].eps == 8 / 255
    assert read_run(run)[0].step_size == 2 / 255
    evaluate_main([str(run), "--attacks", "fgsm", "--eps", "4/255", "--n", "4", "--no-diagnostics"])
    assert json.loads((run / "evaluation.json").read_text())["options"]["eps"] == 4 / 255


def test_a_run_is_resumed_with_moved_data_and_for_more_epochs(tmp_path, capsys):
    generator = np.random.default_rng(0)
    place, run = tmp_path / "data", tmp_path / "run"
    place.mkdir()
    for file in FILES.values():
        size = (40, 28, 28) if "images" in file else (40,)
        write_idx(place / f"{file}.gz", generator.integers(0, 10, size).astype(np.uint8))
    own = [
        "--dataset",
        "mnist",
        "--data-dir",
        str(place),
        "--batch-size",
        "10",
        "--schedule",
        "constant",
    ]
    train_main([*TINY, *own, "--out", str(run)])
    moved = place.rename(tmp_path / "moved")
    capsys.readouterr()
    assert "no train-images" in fails(capsys, train_main, "--resume", run)
    train_main(["--resume", str(run), "--data-dir", str(moved), "--epochs", "2"])
    assert "epoch   2/2" in capsys.readouterr().out
    assert read_run(run)[0].data_dir == moved
    assert read_run(run)[0].epochs == 2
    output = fails(capsys, train_main, "--resume", run, "--c", "0.9")
    assert "started with other options: c (0.7, not 0.9). Resume it with its own" in output
    for file in ("train_x", "train_y"):
        (moved / f"{FILES[file]}.gz").unlink()  # an evaluation needs the tests alone
    evaluate_main([str(run), "--attacks", "fgsm", "--n", "8", "--no-diagnostics"])
    assert "FGSM" in capsys.readouterr().out
    write_idx(moved / f"{FILES['test_y']}.gz", np.zeros(40, np.uint8))
    output = fails(capsys, evaluate_main, run, "--attacks", "fgsm", "--n", "8", "--overwrite")
    assert "the SHA-256 of its test images is" in output


@pytest.mark.parametrize(
    "module",
    ["sense", "sense.train", "sense.evaluate", "sense.export", "sense.report", "sense.seal"],
)
def test_every_command_has_its_version(start, module):
    output, _ = start(module, "--version").communicate(timeout=60)
    assert output == f"sense {__version__}\n"


def test_python_m_sense_lists_the_commands(start):
    process = start("sense")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    for command in ("train", "evaluate", "report", "seal"):
        assert f"python -m sense.{command} " in output
    process = start("sense", "trian")
    assert process.wait(timeout=60) == 2
