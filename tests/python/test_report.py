"""The page: made for real where R and the R package are, and what is said where they are not."""

import json
import os
import re
import shutil
import stat

import pytest

from conftest import ROOT
from sense import report as module
from sense.checkpoint import WEIGHTS
from sense.errors import InputError
from sense.evaluation.examples import EXAMPLES
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.report import report, report_main
from sense.seal import seal_folder
from sense.train import fit

QUICK = Settings(attacks=("fgsm", "pgd"), n=20, steps=2, restarts=1, diagnostics=False)


@pytest.fixture
def in_r():
    """Skip if the page cannot be made."""
    try:
        module.run_r(module.find_rscript())
    except (FileNotFoundError, ValueError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two of the stored networks as runs, evaluated for a moment."""
    folders = []
    for name in ("r-at", "sense"):
        folder = tmp_path_factory.mktemp("report") / name
        folder.mkdir()
        source = ROOT / "inst/extdata/mnist-demo" / name
        for file in ("config.json", "metrics.jsonl", WEIGHTS):
            shutil.copy(source / file, folder)
        seal_folder(folder)
        evaluate_run(folder, QUICK)
        folders.append(folder)
    return folders


@pytest.fixture
def runs(stored, tmp_path):
    return [shutil.copytree(folder, tmp_path / folder.name) for folder in stored]


def test_the_page_of_a_run(in_r, runs, capsys):
    report_main([str(runs[1]), "--examples", "3"])
    page = (runs[1] / "report.html").read_text()
    assert capsys.readouterr().out == f"report: {runs[1] / 'report.html'}\n"
    output = json.loads((runs[1] / "evaluation.json").read_text())["accuracy"]["pgd"]
    assert f"({output['k']} / 20)" in page
    assert page.count("data:image/png;base64,") == 2  # accuracies, and the images
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert len(json.loads((runs[1] / EXAMPLES).read_text())["x"]) == 3
    assert {path.name for path in runs[1].iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "manifest.json",
        "MODEL_CARD.md",
        "outcomes.csv",
        "evaluation.json",
        EXAMPLES,
        "report.html",
    }


def test_several_runs_side_by_side(in_r, runs, tmp_path):
    page = report(runs, tmp_path / "both.html", examples=0).read_text()
    assert "r-at - sense" in page
    assert "SENSE-AT (c = 0.7)" in page
    assert "p (Holm)" in page
    assert not (runs[0] / EXAMPLES).exists()


def test_an_error_of_r_is_one_line(in_r, runs, capsys):
    outcomes = runs[0] / "outcomes.csv"
    rows = outcomes.read_text().splitlines()
    outcomes.write_text("\n".join(rows[:-1]) + "\n")
    seal_folder(runs[0])
    with pytest.raises(SystemExit) as stopped:
        report_main([str(runs[0]), "--examples", "0"])
    assert stopped.value.code == 2
    output = capsys.readouterr().err.splitlines()
    assert len(output) == 1
    assert output[0].startswith("sense.report:")
    assert "is damaged" in output[0]
    assert not (runs[0] / "report.html").exists()


def test_what_cannot_be_opened_again_has_no_images(in_r, runs, capsys):
    stored = json.loads((runs[0] / "config.json").read_text())
    stored["config"] |= {"dataset": "mnist", "data_dir": "/nowhere"}
    (runs[0] / "config.json").write_text(json.dumps(stored))
    seal_folder(runs[0])
    page = report([runs[0]], examples=2)
    assert page.exists()
    assert "no adversarial images" in capsys.readouterr().err
    (runs[0] / "config.json").unlink()
    seal_folder(runs[0])
    report([runs[0]], examples=2)
    assert "this is not a run" in capsys.readouterr().err


def test_an_evaluation_of_the_weights_before_further_training_is_refused(runs, monkeypatch):
    monkeypatch.setattr(module, "find_rscript", lambda: "Rscript")
    monkeypatch.setattr(module, "run_r", lambda *arguments: None)
    shutil.copy(runs[1] / WEIGHTS, runs[0])
    seal_folder(runs[0])
    with pytest.raises(InputError, match=r"of other weights .* sense\.evaluate \S+ --overwrite"):
        report([runs[0]], examples=1)
    assert not (runs[0] / EXAMPLES).exists()


def test_without_r_the_error_says_what_to_install(runs, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SystemExit) as stopped:
        report_main([str(runs[0])])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "install R (https://cran.r-project.org" in message
    assert "R CMD INSTALL" in message
    assert not (runs[0] / "report.html").exists()


def test_without_the_r_package_the_error_says_what_to_install(runs, monkeypatch, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("needs R")
    monkeypatch.setenv("R_LIBS", str(tmp_path))
    try:
        report([runs[0]])
    except ValueError as error:
        assert "R package sense" in str(error)  # noqa: PT017  it may be in R's own library
        assert not (runs[0] / EXAMPLES).exists(), "no time is spent before"
    else:
        pytest.skip("the R package is in R's own library")


def test_output_of_a_failed_rscript_is_shown(tmp_path):
    fake = tmp_path / "Rscript"
    fake.write_text("#!/bin/sh\necho 'cannot open shared object' >&2\nexit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(RuntimeError, match=r"R ended with status 1:\ncannot open shared object"):
        module.run_r(str(fake))


def test_errors_of_the_r_package_are_input_errors_and_other_errors_of_r_are_not(
    tmp_path, monkeypatch
):
    """The R code of the report, with a function that ends with an error."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("needs R")
    code = module.R_CODE[module.R_CODE.index("options(cli.width") :]
    for call, kind, match in (
        (
            'stop(structure(class = c("rlang_error", "error", "condition"), '
            'list(message = "no such\n run", call = NULL)))',
            InputError,
            r"^no such run$",
        ),
        ("log(-1:2)[[9]]", RuntimeError, r"subscript out of bounds"),
    ):
        code_with = code.replace("sense:::check_report_tools()", call)
        monkeypatch.setattr(module, "R_CODE", "arguments <- character()\n" + code_with)
        with pytest.raises((InputError, RuntimeError), match=match) as caught:
            module.run_r(rscript)
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("runs_given", "options", "message"),
    [
        (0, {}, "pass the folder of an evaluation"),
        (2, {}, "--out FILE.html"),
        (1, {"examples": -1}, "examples must be 0 or more"),
    ],
)
def test_bad_arguments_are_rejected(runs, runs_given, options, message):
    with pytest.raises(ValueError, match=message):
        report(runs[:runs_given], **options)


def test_a_run_without_an_evaluation_is_rejected(few, tiny, tmp_path, runs):
    run = tmp_path / "run"
    fit(tiny, run, data=few)
    with pytest.raises(FileNotFoundError, match=r"python -m sense\.evaluate"):
        report([run])
    with pytest.raises(FileNotFoundError, match="no folder"):
        report([runs[0]], tmp_path / "nowhere" / "x.html")


def test_the_report_is_a_command(start):
    process = start("sense.report", "--help")
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "--examples" in out
    assert os.linesep not in module.PACKAGE_IS_NEEDED
