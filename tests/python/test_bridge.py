"""The functions that R calls, with arguments as R passes them."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import ROOT
from sense import bridge
from sense.bridge.data import image_data_from_r
from sense.checkpoint import WEIGHTS, load_weights
from sense.config import from_plain, recipe
from sense.errors import InputError
from sense.evaluation.examples import DEFAULT_N
from sense.evaluation.settings import settings_from_plain
from sense.evaluation.stored_evaluation import evaluate_run
from sense.runs import CONFIG, load, read_run
from sense.time_budget import EpochTimes

TINY = {
    "dataset": "arrays",
    "model": "capacity-1",
    "pretrain": 0.0,
    "epochs": 1.0,
    "lr": 0.05,
    "batch_size": 50.0,
    "steps": 2.0,
    "monitor_size": 32.0,
    "threads": 1.0,
}


def test_invalid_options_are_rejected_before_a_folder_is_created(tmp_path):
    with pytest.raises(ValueError, match="unknown option stepsize"):
        bridge.train({"stepsize": 0.1}, "mnist", str(tmp_path / "run"))
    with pytest.raises(ValueError, match="recipe must be one of"):
        bridge.train({}, "cake", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def arrays(sample):
    """Images of 24 x 28 pixels, so that a transposed image is noticed."""
    return {
        "x": sample.train_x[:300, 0, 2:26].numpy(),
        "y": sample.train_y[:300].double().numpy(),
        "x_test": sample.test_x[:100, 0, 2:26].numpy(),
        "y_test": sample.test_y[:100].tolist(),
        "classes": [f"digit {i}" for i in range(10)],
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory, arrays):
    """A run, the text of its config.json with the bytes of its weights, and its progress lines."""
    torch.set_num_threads(1)
    folder, lines = tmp_path_factory.mktemp("bridge") / "run", []
    done = bridge.train(
        TINY, "mnist-demo", str(folder), images=arrays, on_epoch=lines.append, command="an R call"
    )
    nothing = {"validation": [], "collapse": None, "unfinished": None}
    assert done == {"stopped": False, "folder": str(folder), **nothing}
    stored = (folder / CONFIG).read_text(), bytearray((folder / WEIGHTS).read_bytes())
    return folder, stored, lines


def test_a_run_from_r_has_its_options_data_and_call(trained):
    folder, _, lines = trained
    config, description = read_run(folder)
    expected = from_plain({**recipe().to_plain(), **TINY}).resolved()
    assert config == replace(expected, precision=config.precision, cuda_graphs="off")
    assert config.precision in ("float32", "bfloat16")
    assert description["data"]["shape"] == [1, 24, 28]
    assert description["data"]["classes"][3] == "digit 3"
    assert description["provenance"]["command"] == "an R call"
    note, epoch = lines
    assert note.startswith("note: steps x step_size is 0.1, less than eps 0.3")
    assert epoch.startswith("epoch   1/1  train")


def test_predictions_are_the_probabilities_of_the_network(trained, arrays):
    folder, kept, _ = trained
    x = arrays["x_test"]
    p = bridge.predict(*kept, x)
    assert p.dtype == np.float64
    assert p.shape == (100, 10)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    logits = load(folder)(torch.from_numpy(x)[:, None] / 255)
    np.testing.assert_allclose(p, logits.softmax(1).detach().numpy(), atol=1e-6)
    real = bridge.predict(*kept, np.asfortranarray(x / 255))
    np.testing.assert_allclose(p, real, atol=1e-6)


def test_predictions_do_not_depend_on_the_batch_size(trained, arrays, monkeypatch):
    _, kept, _ = trained
    whole = bridge.predict(*kept, arrays["x_test"])
    monkeypatch.setattr(bridge.evaluation, "PREDICT_BATCH", 33)
    np.testing.assert_allclose(whole, bridge.predict(*kept, arrays["x_test"]), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.transpose(0, 2, 1), "must be n x 24 x 28 x 1 .* got 100 x 28 x 24 x 1"),
        (lambda x: x.astype(float), "divide by 255"),
    ],
)
def test_predictions_for_images_of_another_form_are_rejected(trained, arrays, change, message):
    _, kept, _ = trained
    with pytest.raises(ValueError, match=message):
        bridge.predict(*kept, change(arrays["x_test"]))


def test_interrupted_training_is_resumed(arrays, tmp_path):
    options, folder = {**TINY, "epochs": 2.0}, str(tmp_path / "run")
    stopped = bridge.train(
        options,
        "mnist-demo",
        folder,
        images=arrays,
        on_epoch=lambda line: signal.raise_signal(signal.SIGINT),
    )
    assert stopped == {"stopped": True, "folder": folder}
    assert not bridge.train({}, None, folder, images=arrays, resume=True)["stopped"]
    bridge.train(options, "mnist-demo", str(tmp_path / "whole"), images=arrays)
    for name, value in load_weights(tmp_path / "whole").items():
        assert torch.equal(value, load_weights(tmp_path / "run")[name])


def test_test_images_must_have_the_shape_of_the_training_images(arrays):
    with pytest.raises(ValueError, match="must be n x 24 x 28 x 1"):
        image_data_from_r(**{**arrays, "x_test": arrays["x_test"][:, :20]})


QUICK = {"attacks": ["fgsm", "pgd"], "steps": 2.0, "restarts": 1.0, "n": 40.0, "diagnostics": False}


def test_a_fit_is_evaluated_like_its_run(trained, arrays, tmp_path):
    folder, kept, _ = trained
    lines = []
    done = bridge.evaluate(
        *kept, str(tmp_path / "r"), QUICK, arrays, on_line=lines.append, command="R's"
    )
    assert done == {"stopped": False, "folder": str(tmp_path / "r")}
    data = image_data_from_r(**arrays)
    run = evaluate_run(folder, settings_from_plain(QUICK), data=data, out=tmp_path / "python")
    outcomes = [(tmp_path / name / "outcomes.csv").read_text() for name in ("r", "python")]
    assert outcomes[0] == outcomes[1]
    content = json.loads((tmp_path / "r/evaluation.json").read_text())
    assert content["accuracy"] == run["accuracy"]
    assert content["target"]["kind"] == "fit"
    assert content["provenance"]["command"] == "R's"
    assert any(line.startswith("PGD-2 x 1") for line in lines)
    found = bridge.compare({"r": str(tmp_path / "r"), "python": str(tmp_path / "python")})
    assert {row["p"] for row in found["pairs"]} == {1.0}


def test_an_evaluation_needs_the_images_of_the_fit(trained, arrays, tmp_path):
    _, kept, _ = trained
    with pytest.raises(ValueError, match="passed in memory: pass it again"):
        bridge.evaluate(*kept, str(tmp_path), QUICK)
    other = arrays | {"y_test": arrays["y_test"][::-1]}
    with pytest.raises(ValueError, match="was made with other data"):
        bridge.evaluate(*kept, str(tmp_path), QUICK, other)
    with pytest.raises(ValueError, match="unknown option stepz"):
        bridge.evaluate(*kept, str(tmp_path), {"stepz": 1}, arrays)


def test_an_interrupted_evaluation_is_resumed(trained, arrays, tmp_path):
    _, kept, _ = trained
    options = QUICK | {"batch": 20.0}

    def interrupt(line):
        if line.startswith("natural"):
            signal.raise_signal(signal.SIGINT)

    done = bridge.evaluate(*kept, str(tmp_path), options, arrays, on_line=interrupt)
    assert done["stopped"]
    assert not json.loads((tmp_path / "evaluation.json").read_text())["finished"]
    assert not bridge.evaluate(*kept, str(tmp_path), options, arrays)["stopped"]
    assert (tmp_path / "outcomes.csv").read_text().count("\n") == 1 + 3 * 40


@pytest.fixture
def kept(trained):
    return trained[1]


def test_a_fit_is_evaluated_on_other_test_images(kept, arrays, tmp_path):
    lines = []
    labels = [float(label) for label in arrays["y_test"]]
    images = {"x_test": arrays["x_test"], "y_test": labels}
    done = bridge.evaluate(
        *kept,
        str(tmp_path / "out"),
        options={"attacks": "fgsm", "n": 30.0, "diagnostics": False},
        images=images,
        name="mine",
        threads=1.0,
        on_line=lines.append,
        command="an R call",
    )
    assert done == {"stopped": False, "folder": str(tmp_path / "out")}
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert content["target"]["name"] == "mine"
    assert content["target"]["kind"] == "fit"
    assert content["data"]["n"] == 30
    assert content["data"]["of"] == 100
    assert content["provenance"]["command"] == "an R call"
    right = bridge.predict(*kept, arrays["x_test"][:30]).argmax(1) == arrays["y_test"][:30]
    assert content["accuracy"]["natural"]["k"] == right.sum()
    assert any(line.startswith("FGSM") for line in lines)


def test_adversarial_examples_of_a_fit(kept, arrays):
    images = {name: arrays[name] for name in ("x_test", "y_test")}
    found = bridge.adversarial_examples(
        *kept, options={"attacks": "pgd", "steps": 2.0, "restarts": 1.0}, n=4.0, images=images
    )
    assert len(found["x"]) == 4
    assert found["shape"] == [1, 24, 28]
    np.testing.assert_allclose(
        np.array(found["x"]).reshape(4, 24, 28), arrays["x_test"][:4] / 255, atol=1e-6
    )
    assert len(bridge.adversarial_examples(*kept, images=images, threads=1)["x"]) == DEFAULT_N


def test_a_fit_is_evaluated_on_its_data_set(tmp_path, sample):
    source = ROOT / "inst/extdata/mnist-demo/sense"
    kept = (source / CONFIG).read_text(), (source / WEIGHTS).read_bytes()
    out = str(tmp_path / "out")
    bridge.evaluate(*kept, out, options={"attacks": "fgsm", "n": 50, "diagnostics": False})
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    stored = json.loads((source / "evaluation.json").read_text())
    assert content["data"]["sha256"] == stored["data"]["sha256"] == sample.sha256
    assert content["target"]["weights_sha256"] == stored["target"]["weights_sha256"]
    other = kept[0].replace(sample.sha256, "0" * 64)
    with pytest.raises(ValueError, match="made with other data"):
        bridge.evaluate(other, kept[1], out)


def raise_error(error):
    raise error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("c must be a probability"), {"input_error": "c must be a probability"}),
        (KeyboardInterrupt(), {"interrupted": True}),
    ],
)
def test_a_call_returns_input_errors_and_interrupts(monkeypatch, error, expected):
    monkeypatch.setattr(bridge, "compare", lambda folders: raise_error(error))
    assert bridge.call("compare", {"folders": {}}) == expected


def test_a_call_returns_the_traceback_of_any_other_error():
    answer = bridge.call("compare", {"no_such_argument": 1})
    assert answer.keys() == {"traceback"}
    assert answer["traceback"].startswith("Traceback (most recent call last)")
    assert "TypeError" in answer["traceback"]


def test_a_call_returns_the_value_of_its_task(monkeypatch):
    monkeypatch.setattr(bridge, "compare", lambda folders: len(folders))
    assert bridge.call("compare", {"folders": {"a": "x"}}) == {"value": 1}


def test_only_tasks_can_be_called():
    with pytest.raises(AssertionError):
        bridge.call("labels_from_r", {"y": [1]})


def test_evaluations_are_compared_by_name():
    source = ROOT / "inst/extdata/mnist-demo"
    found = bridge.compare({name: str(source / name) for name in ("r-at", "sense")})
    assert [(row["attack"], row["first"]) for row in found["pairs"]] == [
        ("natural", "r-at"),
        ("pgd", "r-at"),
        ("autoattack", "r-at"),
        ("worst", "r-at"),
    ]


def test_a_training_whose_time_is_over_says_so(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(
        "sense.trial_steps.measured_times", lambda *args: EpochTimes(1e-6, 1e-5, 0.0)
    )
    lines = []
    options = {"model": "capacity-1", "train_size": 100, "minutes": 0.02, "threads": 1}
    asked = {"options": options, "recipe_name": "mnist-demo"}
    told = bridge.train(**asked, out=str(tmp_path / "one"), on_epoch=lines.append)
    silent = bridge.train(**asked, out=str(tmp_path / "two"))
    assert told["unfinished"].startswith("the time is over after ")
    assert silent["unfinished"].startswith("the time is over after ")
    assert lines[-1] == f"note: {told['unfinished']}"
    assert not [warning for warning in recwarn if "time is over" in str(warning.message)]


def test_the_options_of_a_fit_train_the_planned_epochs_again(tmp_path, monkeypatch):
    options = {"model": "capacity-1", "train_size": 64, "method": "nt", "minutes": 1.0}
    options |= {"pretrain": 0, "threads": 1, "monitor_size": 8, "epochs": 5}
    with monkeypatch.context() as patch:
        times = EpochTimes(20.0, 20.0, 0.0)
        patch.setattr("sense.trial_steps.measured_times", lambda *args: times)
        bridge.train(options, "mnist-demo", str(tmp_path / "fit"))
    base = (tmp_path / "fit" / CONFIG).read_text()
    bridge.train({}, None, str(tmp_path / "again"), base=base)
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "fit" / WEIGHTS).read_bytes()
    again = json.loads((tmp_path / "again" / CONFIG).read_text())["config"]
    assert (again["epochs"], again["minutes"]) == (2, None)
