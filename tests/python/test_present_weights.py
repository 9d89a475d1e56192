"""An evaluation is a result of a run only while the run has the weights that were evaluated."""

import json
import shutil

import pytest

from sense.checkpoint import WEIGHTS, pack_weights, weights_file_sha256
from sense.errors import InputError
from sense.evaluation.compare import compare
from sense.evaluation.present_weights import check_present_weights, is_of_present_weights
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import EVALUATION, read_evaluation
from sense.report import report
from sense.run_folder import RunFolder
from sense.seal import seal_folder
from sense.sweep import State, accuracies, run_cells, status_of
from sense.train import TrainingStopped, fit
from sweeps import EVALUATION as OPTIONS
from sweeps import InThisProcess, cell

CELL = cell(method="nt")


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory):
    """The folder of a sweep: its run was evaluated after the first of two epochs."""
    out = tmp_path_factory.mktemp("half")
    epochs = []
    stop = lambda: 15 if epochs else None  # noqa: E731
    with pytest.raises(TrainingStopped):
        fit(CELL.config, out / CELL.name, on_epoch=epochs.append, stop=stop)
    evaluate_run(out / CELL.name, CELL.settings()[0])
    return out


@pytest.fixture
def trained_further(half_trained, tmp_path):
    out = tmp_path / "runs"
    shutil.copytree(half_trained, out)
    fit(CELL.config, out / CELL.name, resume=True)
    return out


def without_file_sum(folder):
    """Make an evaluation one of an older version."""
    content = read_evaluation(folder)
    del content["target"]["weights_file_sha256"]
    with RunFolder(folder) as files:
        files.lock()
        files.write({EVALUATION: json.dumps(content)})


def test_an_evaluation_has_the_checksum_of_the_file(half_trained):
    run = half_trained / CELL.name
    content = read_evaluation(run)
    assert content["target"]["weights_file_sha256"] == weights_file_sha256(run)
    assert is_of_present_weights(content, run)
    check_present_weights(run, content)


@pytest.mark.parametrize("old", [False, True])
def test_a_sweep_evaluates_a_run_that_was_trained_further_again(trained_further, monkeypatch, old):
    run, here = trained_further / CELL.name, InThisProcess(monkeypatch)
    if old:
        without_file_sum(run)
    before = read_evaluation(run)
    assert status_of(CELL, trained_further).state == State.TRAINED
    assert accuracies(trained_further) == []
    assert not run_cells([CELL], trained_further, here).failed
    assert [words[1] for words in here.commands] == ["sense.evaluate"]
    after = read_evaluation(run)
    assert after["target"]["weights_sha256"] != before["target"]["weights_sha256"]
    shown = {row["attack"]: row["k"] for row in accuracies(trained_further)}
    assert shown == {name: entry["k"] for name, entry in after["accuracy"].items()}
    run_cells([CELL], trained_further, here)
    assert len(here.commands) == 1


def test_numbered_folders_are_compared_with_the_run_above_them(half_trained, tmp_path):
    out = tmp_path / "runs"
    shutil.copytree(half_trained, out)
    run = out / CELL.name
    other = cell([{**OPTIONS, "n": 20}], method="nt")
    evaluate_run(run, other.settings()[0])
    place = run / "evaluation-2"
    check_present_weights(place, read_evaluation(place))
    fit(CELL.config, run, resume=True)
    with pytest.raises(InputError, match=r"evaluation-2 is one of other weights .* --overwrite"):
        check_present_weights(place, read_evaluation(place))
    assert status_of(other, out).state == State.TRAINED


def test_reports_and_comparisons_refuse_it(trained_further, tmp_path, monkeypatch):
    run = trained_further / CELL.name
    monkeypatch.setattr("sense.report.find_rscript", lambda: pytest.fail("R was looked for"))
    with pytest.raises(InputError, match="is one of other weights"):
        report([run], tmp_path / "page.html")
    with pytest.raises(InputError, match="is one of other weights"):
        compare({"one": run, "other": run})


def test_code_of_others_is_not_run_to_compare_the_values(half_trained):
    run = half_trained / CELL.name
    content = read_evaluation(run)
    content["target"]["weights_sha256"] = "0" * 64
    assert is_of_present_weights(content, run), "the checksum of the file decides"
    content["target"]["weights_file_sha256"] = None
    assert not is_of_present_weights(content, run)
    content["target"]["weights_file_sha256"] = "0" * 64
    assert not is_of_present_weights(content, run)


def test_a_network_of_others_counts_by_the_file_alone(half_trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(half_trained / CELL.name, run)
    with RunFolder(run) as files:
        files.lock()
        config = files.read_json("config.json")
        config["config"]["model"] = "nowhere:network"
        files.write({"config.json": json.dumps(config)})
    content = read_evaluation(run)
    assert is_of_present_weights(content, run)
    content["target"]["weights_file_sha256"] = "0" * 64
    assert not is_of_present_weights(content, run)
    content["target"]["weights_file_sha256"] = None
    assert is_of_present_weights(content, run), "it is not known"


def test_a_folder_without_weights_is_compared_with_nothing(half_trained, tmp_path):
    content = read_evaluation(half_trained / CELL.name)
    content["target"]["weights_file_sha256"] = "0" * 64
    shutil.copy(half_trained / CELL.name / EVALUATION, tmp_path)
    check_present_weights(tmp_path, content)
    assert not (tmp_path / WEIGHTS).exists()


def test_weights_that_cannot_be_loaded_are_other_weights(half_trained, tmp_path):
    run = shutil.copytree(half_trained / CELL.name, tmp_path / "run")
    (run / WEIGHTS).write_bytes(pack_weights({}))
    seal_folder(run)
    assert not is_of_present_weights(read_evaluation(run), run)
