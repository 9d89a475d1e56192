"""Folders of earlier versions: options that were renamed or removed since."""

import json
from dataclasses import replace

import pytest

from conftest import ROOT
from sense.config import from_stored
from sense.errors import InputError
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.run_folder import RunFolder
from sense.runs import CONFIG, read_run
from sense.train import TrainingStopped, fit


def test_renamed_options_are_read():
    config = from_stored(
        {
            "decay": 0.5,
            "eps_first": 0.02,
            "monitor": 9,
            "rates": [0.01],
            "milestones": [3],
            "validation": 5,
        }
    )
    assert config.lr_decay == 0.5
    assert config.eps_start == 0.02
    assert config.monitor_size == 9
    assert config.milestone_lrs == (0.01,)
    assert config.validation_size == 5


STORED = sorted((ROOT / "inst" / "extdata").rglob("config.json"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_every_stored_run_is_read(path):
    description = json.loads(path.read_text())
    config = from_stored(description["config"])
    stored = description["config"]
    assert config.monitor_size == stored.get("monitor_size", stored.get("monitor"))
    assert config.resolved().method == description["config"]["method"]


def test_there_are_stored_runs():
    assert len(STORED) > 20


@pytest.mark.parametrize(
    ("code", "method", "graphs"),
    [
        ("none", "r-at", "off"),
        ("default", "r-at", "off"),
        ("cuda-graphs", "r-at", "on"),
        ("cuda-graphs", "sense", "on"),
    ],
)
def test_compile_is_read_as_cuda_graphs(code, method, graphs):
    config = from_stored({"compile": code, "cudnn_benchmark": True, "method": method})
    assert config.cuda_graphs == graphs


@pytest.mark.parametrize(("stored", "graphs"), [(True, "on"), (False, "off"), ("compact",) * 2])
def test_cuda_graphs_were_once_true_or_false(stored, graphs):
    assert from_stored({"cuda_graphs": stored, "method": "r-at"}).cuda_graphs == graphs


def test_a_run_without_a_precision_has_that_of_its_time():
    assert from_stored({}).precision is None
    assert from_stored({"precision": "bfloat16"}).precision == "bfloat16"


def test_a_value_that_compile_never_had_is_refused():
    with pytest.raises(InputError, match="compile must be one of none, default, cuda-graphs"):
        from_stored({"compile": "max"})


@pytest.fixture
def old_run(tmp_path, few, tiny):
    """Stop a run and put options of an earlier version into its config.json."""

    def old_run(**options):
        folder = tmp_path / "run"
        with pytest.raises(TrainingStopped):
            fit(replace(tiny, method="nt"), folder, data=few, stop=lambda: 2)
        with RunFolder(folder) as run:
            run.lock()
            description = json.loads(run.read(CONFIG))
            del description["config"]["cuda_graphs"]
            description["config"] |= {"compile": "none", "cudnn_benchmark": False} | options
            description["runtime_options"] = ["threads", "compile", "cudnn_benchmark"]
            run.write({CONFIG: json.dumps(description)})
        return folder

    return old_run


def test_a_run_with_removed_options_is_resumed(old_run, few):
    folder = old_run(compile="default")
    fit(read_run(folder)[0], folder, data=few, resume=True)


def test_a_float16_run_is_evaluated_but_not_resumed(old_run, few):
    folder = old_run(precision="float16")
    settings = Settings(attacks=("fgsm",), eps=0.1, n=10)
    assert evaluate_run(folder, settings, data=few)
    with pytest.raises(InputError, match=r"trained with precision float16, .* no longer supported"):
        fit(read_run(folder)[0], folder, data=few, resume=True)
