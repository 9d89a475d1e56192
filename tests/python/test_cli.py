import json
import re
from dataclasses import fields, replace

import pytest

from sense.cli import evaluate_main, train_main
from sense.config import Config
from sense.data.idx import write_idx
from sense.data.mnist import FILES, load_folder
from sense.evaluate import PGDAttack
from sense.runs import read_run
from sense.train import Stopped, fit

TINY = ["--model", "capacity-1", "--method", "nt", "--pretrain", "0", "--epochs", "1",
        "--batch-size", "2000", "--monitor", "16", "--steps", "1", "--threads", "1"]  # fmt: skip


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
        (evaluate_main, [option.name for option in fields(PGDAttack)] + ["n", "data_dir"]),
    ],
)
def test_help_names_every_option(capsys, main, options):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for option in options:
        assert re.search(rf"--{option.replace('_', '-')}[ ,]", printed)
    assert "--config" not in printed


def test_help_of_a_recipe_has_its_defaults(capsys):
    with pytest.raises(SystemExit):
        train_main(["mnist", "--help"])
    printed = capsys.readouterr().out
    assert re.search(r"--epochs INT +epochs of the method \(default: 500\)", printed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cifar"], "recipe must be one of mnist-demo, mnist, "),
        (["--dataset", "mnist", "--data-dir", "/nowhere"], "no train-images-idx3-ubyte[.gz] in"),
        (["--resume", "/nowhere"], "no config.json in /nowhere: pass the folder of a run"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
        (["--resume", "/nowhere", "--c", "0.5"], "--resume takes the options the run has"),
        (["--resume", "/nowhere", "--out", "x"], "--resume takes the options the run has"),
    ],
)
def test_bad_input_to_train_ends_in_one_line(capsys, arguments, message):
    line = fails(capsys, train_main, *arguments)
    assert line.startswith("sense.train: ")
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "no config.json in /nowhere"),
        (["/nowhere", "--device", "abacus"], "no config.json in /nowhere"),
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
        (train_main, ["--method", "magic"], "'magic' for argument '--method'"),
        (train_main, ["--epslion", "0.1"], "--epslion"),
        (evaluate_main, ["x", "--restarts", "0"], "restarts must be a whole number >= 1, got 0"),
        (evaluate_main, ["x", "--attack", "magic"], "'magic' for argument '--attack'"),
        (evaluate_main, [], "run .required"),
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
    with pytest.raises(Stopped):
        fit(tiny, tmp_path, data=few, stop=lambda: 2)
    assert f"go on with it by --resume {tmp_path}" in fails(
        capsys, train_main, *TINY, "--out", tmp_path
    )


def test_the_shell_trains_and_evaluates(start, tmp_path):
    """The two commands as they are typed, in processes of their own, on the sample."""
    process = start("sense.train", *TINY)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    epoch, where = output.splitlines()
    assert re.fullmatch(r"epoch +1/1 +train +loss \d\.\d+ +natural .* % \(n = 16\) .*s", epoch)
    run = tmp_path / where.removeprefix("run: ")
    assert re.fullmatch(r"nt-\d{8}-\d{6}", run.name)
    assert read_run(run)[0].batch_size == 2000

    process = start("sense.evaluate", run, "--n", 50, "--steps", 5, "--restarts", 2)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    natural, pgd, where = output.splitlines()
    assert re.fullmatch(r"natural  \d+\.\d % \[\d+\.\d, \d+\.\d\] \(\d+ / 50\)", natural)
    assert re.fullmatch(r"pgd      \d+\.\d % \[\d+\.\d, \d+\.\d\] \(\d+ / 50\)", pgd)
    assert where == f"outcomes: {run / 'outcomes.csv'}"
    told = json.loads((run / "evaluation.json").read_text())
    assert told["accuracy"]["natural"]["n"] == 50
    assert f"({told['accuracy']['pgd']['k']} / 50)" in pgd
    assert "-m sense.evaluate" in told["provenance"]["command"]
    assert (run / "outcomes.csv").read_text().count("\n") == 101


def test_evaluation_finds_data_that_were_moved(capsys, tmp_path, sample, tiny):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    for part, name in FILES.items():
        array = getattr(sample, part)[:100].numpy().astype("uint8")
        write_idx(here / f"{name}.gz", array.squeeze())
    config = replace(tiny, dataset="mnist", data_dir=here, pretrain=0, epochs=1)
    fit(config, tmp_path / "run", data=load_folder(here, "mnist"))
    here.rename(there)
    quick = [tmp_path / "run", "--n", 20, "--steps", 2, "--restarts", 1]
    assert f"in {here}" in fails(capsys, evaluate_main, *quick)
    evaluate_main([str(argument) for argument in [*quick, "--data-dir", there]])
    assert "/ 20)" in capsys.readouterr().out
