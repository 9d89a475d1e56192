"""Whole evaluations, their files, and resuming one that was interrupted."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import ROOT
from defences import Quantised
from kills import killed_at_each_change
from networks import linear_network
from sense import files, runs
from sense.data import load_data, to_float
from sense.errors import InputError, TakenError
from sense.evaluation.curves import CONVERGENCE, CONVERGENCE_ACCURACY, CURVE, CURVE_OUTCOMES
from sense.evaluation.evaluate import evaluate
from sense.evaluation.outcomes import OUTCOMES, read_outcomes
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import EvaluationStopped, evaluate_run, evaluate_target
from sense.evaluation.summary import EVALUATION
from sense.evaluation.targets import open_run
from sense.models import build_model
from sense.runs import load
from sense.statistics import wilson

QUICK = Settings(steps=5, restarts=2, step_size=0.05, diagnostics=False)
WHOLE = (OUTCOMES, CURVE_OUTCOMES, CURVE, CONVERGENCE, CONVERGENCE_ACCURACY)


@pytest.fixture
def run(trained, tmp_path):
    """Evaluate the trained network with these settings; give back what evaluation.json holds."""
    folder, data = trained

    def run(settings=QUICK, *, out="out", **options):
        return evaluate_run(folder, settings, data=data, out=tmp_path / out, **options)

    return run


def test_files_agree_with_each_other_and_with_the_network(run, trained, tmp_path):
    folder, data = trained
    content = run()
    assert json.loads((tmp_path / "out" / EVALUATION).read_text()) == content
    rows = list(csv.DictReader((tmp_path / "out" / OUTCOMES).read_text().splitlines()))
    assert list(rows[0]) == ["image", "label", "attack", "prediction", "correct"]
    for name in ("natural", "pgd"):
        mine = [row for row in rows if row["attack"] == name]
        assert [int(row["image"]) for row in mine] == list(range(600))
        assert [int(row["label"]) for row in mine] == data.test_y.tolist()
        assert all((row["label"] == row["prediction"]) == (row["correct"] == "1") for row in mine)
        k = sum(int(row["correct"]) for row in mine)
        assert content["accuracy"][name].items() >= wilson(k, 600)._asdict().items()
    predictions = load(folder)(to_float(data.test_x)).argmax(1).tolist()
    assert [int(row["prediction"]) for row in rows[:600]] == predictions
    entry = content["attacks"]["pgd"]
    assert entry["seconds"] > 0
    assert entry["attacked"] == content["accuracy"]["natural"]["k"]
    assert content["finished"]
    assert 0.2 < content["accuracy"]["pgd"]["k"] / 600 < entry["attacked"] / 600 - 0.1


def test_no_image_is_correct_only_under_attack(run, tmp_path):
    run(replace(QUICK, attacks=("fgsm", "pgd", "deepfool", "margin-pgd", "targeted-pgd"), n=200))
    rows = read_outcomes(tmp_path / "out")
    natural = {row.image: row.correct for row in rows[:200]}
    assert all(row.correct <= natural[row.image] for row in rows)
    assert len(rows) == 6 * 200


@pytest.mark.parametrize("seed", [0, 1])
def test_more_restarts_only_lower_the_accuracy(trained, seed):
    """In each of the three batches."""
    folder, data = trained
    model = load(folder)
    attack = replace(QUICK, eps=0.08, steps=1, step_size=0.01, seed=seed)
    before = [1] * 600
    for restarts in (1, 2, 4, 8):
        settings = replace(attack, restarts=restarts)
        now = evaluate(model, data.test_x, data.test_y, settings).correct["pgd"].tolist()
        assert all(b >= n for b, n in zip(before, now, strict=True))
        assert sum(now) < sum(before)
        before = now


def test_the_seed_determines_the_result_and_n_takes_the_first_images(run, tmp_path):
    settings, results = replace(QUICK, steps=1, step_size=0.01), []
    for i, (seed, n) in enumerate(((0, None), (0, None), (0, 100), (1, None))):
        torch.rand(3)
        run(replace(settings, seed=seed, n=n), out=str(i))
        rows = read_outcomes(tmp_path / str(i))
        results.append([row.correct for row in rows if row.attack == "pgd"])
    assert results[0] == results[1]
    assert results[2] == results[0][:100]
    assert results[3] != results[0]


def test_the_random_stream_of_the_caller_is_unchanged(run):
    before = torch.get_rng_state()
    run(replace(QUICK, n=20, diagnostics=True, queries=10))
    assert torch.equal(before, torch.get_rng_state())


def test_a_linear_network_has_the_computed_robustness():
    """In l-infinity w'x changes by at most eps |w|_1, and PGD reaches that."""
    torch.manual_seed(7)
    w = torch.randn(16)
    w = w - w.mean()
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(w))
    x = 0.3 + 0.4 * torch.rand(300, 1, 4, 4)  # no bound is reached
    score = x.flatten(1) @ w
    robust = score.abs() > 0.02 * w.abs().sum()
    attack = Settings(steps=10, restarts=1, step_size=0.01, eps=0.02, attacks=("fgsm", "pgd"))
    correct = evaluate(model, x, (score > 0).long(), attack).correct
    assert torch.equal(correct["fgsm"], robust)
    assert torch.equal(correct["pgd"], robust)
    assert 0 < int(robust.sum()) < 300


def test_eps_of_zero_is_no_attack(run):
    content = run(replace(QUICK, eps=0.0, n=100, diagnostics=True))
    assert content["accuracy"]["pgd"] == content["accuracy"]["natural"]
    verdicts = {check["check"]: check["verdict"] for check in content["diagnostics"]["checks"]}
    assert verdicts["convergence"] == verdicts["stronger-attack"] == "skipped"


@pytest.fixture
def small():
    torch.manual_seed(2)
    return build_model("capacity-1", (1, 28, 28), 10)


def test_options_may_be_keywords(small, few):
    found = evaluate(small, few.test_x, few.test_y, eps=0.1, attacks=["pgd"], steps=2, restarts=1)
    settings = Settings(eps=0.1, attacks=("pgd",), steps=2, restarts=1)
    assert found.outcomes == evaluate(small, few.test_x, few.test_y, settings).outcomes
    with pytest.raises(ValueError, match="unknown option epz"):
        evaluate(small, few.test_x, few.test_y, epz=0.1)
    with pytest.raises(ValueError, match="not both"):
        evaluate(small, few.test_x, few.test_y, settings, eps=0.1)
    with pytest.raises(ValueError, match="use evaluate_run"):
        evaluate(small, few.test_x, few.test_y, eps=0.1, curve=[0.1])
    with pytest.raises(ValueError, match="pass the images x and their labels y"):
        evaluate(small, eps=0.1)


def test_the_result_has_accuracies_outcomes_and_the_matrix_and_prints(small, few):
    options = {"eps": 0.1, "steps": 2, "restarts": 1, "l2_eps": 0.5, "n": 50, "draw": 3}
    attacks = ["fgsm", "pgd", "deepfool-l2"]
    found = evaluate(small, few.test_x, few.test_y, attacks=attacks, **options)
    assert found.correct.attacks == ["natural", *attacks]
    assert found.correct.tensor().shape == (50, 4)
    assert found.correct.images == sorted(found.correct.images) != list(range(50))
    assert [
        bool(row.correct) for row in found.outcomes
    ] == found.correct.tensor().T.flatten().tolist()
    for name in found.correct.attacks:
        assert found.accuracy[name] == wilson(int(found.correct[name].sum()), 50)
    worst = found.correct.under(["natural", "fgsm", "pgd"])  # the l2 ball is another one
    assert found.accuracy["worst"] == wilson(int(worst.sum()), 50)
    *lines, note = str(found).splitlines()  # of an untrained network
    assert note.startswith("note: the network is not better than chance")
    assert lines[0] == "50 images, l-infinity ball of radius 0.1"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "attack",
        "natural",
        "FGSM",
        "PGD-2 x 1",
        "DeepFool, l2",
        "worst attack per image",
    ]
    assert lines[4].endswith(str(found.accuracy["pgd"]))


def test_the_folder_of_a_run_gives_network_images_and_ball(few, tmp_path):
    """Its test images are those of the data set, so the run is of the sample that ships."""
    run = ROOT / "inst/extdata/mnist-demo/nt"
    found = evaluate(run, attacks=["fgsm"], n=40)
    data = load_data("mnist-sample")
    expected = evaluate(load(run), data.test_x, data.test_y, eps=0.3, attacks=["fgsm"], n=40)
    assert found.outcomes == expected.outcomes
    assert (found.settings.eps, found.settings.norm) == (0.3, "inf")
    assert not (run / OUTCOMES).exists()


def test_bytes_and_floats_give_the_same(few):
    torch.manual_seed(2)
    model = build_model("capacity-1", (1, 28, 28), 10)
    settings = replace(QUICK, eps=0.1)
    as_bytes = evaluate(model, few.test_x, few.test_y, settings)
    as_floats = evaluate(model, to_float(few.test_x), few.test_y, settings)
    assert as_floats.outcomes == as_bytes.outcomes


ALL = replace(
    QUICK,
    steps=2,
    step_size=None,
    n=90,
    draw=4,
    batch=40,
    attacks=("fgsm", "pgd"),
    curve=(0.05, 0.1),
    convergence=50,
)


def texts(folder):
    return {name: (folder / name).read_text() for name in WHOLE}


@pytest.mark.parametrize("cascade", [False, True])
def test_stopped_after_each_batch_the_result_is_the_same(run, tmp_path, cascade):
    settings = replace(ALL, cascade=cascade)
    whole = run(settings)
    for _ in range(3 + 2 + 2 + 3 + 2):  # the batches of three attacks and of two radii
        torch.rand(3)
        with pytest.raises(EvaluationStopped) as stopped:
            run(settings, out="pieces", stop=lambda: 15)
        assert stopped.value.reason == 15
    content = run(settings, out="pieces", stop=lambda: 15)
    assert texts(tmp_path / "pieces") == texts(tmp_path / "out")
    costs = ("seconds", "provenance", "target")
    for part in set(whole) - {"attacks", *costs}:
        assert content[part] == whole[part]
    for name, entry in whole["attacks"].items():
        assert {k: v for k, v in entry.items() if k not in costs} == {
            k: v for k, v in content["attacks"][name].items() if k not in costs
        }


def test_killed_at_any_change_to_the_disk_the_result_is_the_same(run, tmp_path, monkeypatch):
    settings = replace(
        ALL, attacks=("natural",), n=4, batch=2, curve=(0.1,), convergence=2, restarts=1, steps=1
    )
    monkeypatch.setattr(runs, "_commit", lambda: None)
    monkeypatch.setattr(files.os, "fsync", lambda file: None)
    run(settings)
    again = 0
    for folder in killed_at_each_change(
        monkeypatch, tmp_path, None, lambda folder: run(settings, out=folder)
    ):
        run(settings, out=folder)
        assert texts(folder) == texts(tmp_path / "out")
        assert not list(folder.glob(".*"))
        again += 1
    assert again > 50


def test_a_finished_evaluation_is_not_repeated_and_can_be_extended(run, tmp_path):
    first = run(replace(QUICK, n=60))
    lines = []
    again = run(replace(QUICK, n=60), on_line=lines.append, stop=lambda: 2)
    assert again["attacks"] == first["attacks"]
    assert [line.split()[0] for line in lines] == ["run", "natural", "PGD-5", "worst"]
    more = run(replace(QUICK, n=60, attacks=("fgsm",), curve=(0.1,)))
    # The curve's radius is outside the ball, so it does not count for the worst.
    assert list(more["accuracy"]) == ["natural", "pgd", "fgsm", "worst"]
    assert more["curve"]["eps"] == [0.1]
    assert len(read_outcomes(tmp_path / "out")) == 180
    with pytest.raises(ValueError, match="holds a curve with other options"):
        run(replace(QUICK, n=60, curve=(0.1, 0.2)))
    fresh = run(replace(QUICK, n=50, curve=(0.1, 0.2)), overwrite=True)
    assert (fresh["data"]["n"], list(fresh["attacks"])) == (50, ["natural", "pgd"])


def test_diagnostics_warn_of_hidden_gradients_and_not_of_an_honest_network(trained, tmp_path):
    folder, data = trained
    target = open_run(folder, data=data)
    settings = Settings(steps=20, restarts=2, n=40, eps=0.05, queries=50)
    lines: list[str] = []
    content = evaluate_target(
        replace(target, folder=tmp_path / "honest"), settings, on_line=lines.append
    )
    warned = [c["check"] for c in content["diagnostics"]["checks"] if c["verdict"] == "warning"]
    assert warned == []
    assert "0 warnings" in lines[-1]
    hidden = replace(target, model=Quantised(target.model), folder=tmp_path / "hidden")
    content = evaluate_target(hidden, settings, on_line=lines.append)
    warned = {c["check"] for c in content["diagnostics"]["checks"] if c["verdict"] == "warning"}
    assert {"zero-gradients", "large-eps"} <= warned
    n = content["diagnostics"]["images"]
    warning = f"WARNING zero-gradients: the gradient is exactly zero on {n} of {n} images"
    assert warning in lines[-1]


def test_images_passed_in_memory_must_be_passed_again(trained):
    with pytest.raises(ValueError, match="passed in memory: pass it again"):
        evaluate_run(trained[0], QUICK)


@pytest.mark.parametrize("n", [601, 6000])
def test_n_out_of_range_is_refused(run, n, tmp_path):
    with pytest.raises(ValueError, match=f"from 1 to 600, the number of test images, got {n}"):
        run(replace(QUICK, n=n))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (3, 2), (0, 5)])
def test_other_numbers_of_labels_than_images_are_refused(trained, images, labels):
    folder, data = trained
    with pytest.raises(ValueError, match=f"needed: got {images} images and {labels} labels"):
        evaluate(load(folder), data.test_x[:images], data.test_y[:labels], replace(QUICK, eps=0.1))


@pytest.mark.parametrize("attacks", [("pgd",), ("fgsm", "pgd", "deepfool")])
@pytest.mark.parametrize("correct", [True, False])
def test_one_image_is_evaluated_without_warnings(trained, tmp_path, attacks, correct):
    folder, data = trained
    model = load(folder)
    guess = model(data.test_x[:1].float() / 255).argmax(1)
    labels = guess if correct else (guess + 1) % 10
    one = replace(data, test_x=data.test_x[:1], test_y=labels)
    target = replace(open_run(folder, data=data, out=tmp_path / "one"), data=one)
    settings = replace(
        QUICK, attacks=attacks, diagnostics=True, queries=5, curve=(0.01,), convergence=3
    )
    content = evaluate_target(target, settings)
    assert content["accuracy"]["natural"]["k"] == int(correct)
    assert {
        c["check"] for c in content["diagnostics"]["checks"] if c["verdict"] == "warning"
    } == set()
    assert content["diagnostics"]["images"] == int(correct)


def test_values_that_cannot_be_used_are_named(small, few):
    x, y = to_float(few.test_x[:8]), few.test_y[:8]
    broken = x.clone()
    broken[3, 0, 0, 0] = torch.nan
    for images, labels, message in (
        (x, y - 20, "y must hold labels of at least 0, got"),
        (x, y[:, None], r"one label for each image, shape \(8,\), got shape \(8, 1\)"),
        (broken, y, "x holds a NaN or infinite pixel, first in image 3"),
        (x, np.array(list("abcdefgh")), "y must be|labels must be whole numbers from 0.*'a'"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(small, images, labels, QUICK)
    with pytest.raises(InputError, match="got a function"):
        evaluate(lambda x: x, x, y, QUICK)


def test_autocast_of_the_caller_changes_nothing(small, few):
    settings = replace(QUICK, eps=0.1)
    expected = evaluate(small, few.test_x, few.test_y, settings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = evaluate(small, few.test_x, few.test_y, settings)
    assert found.outcomes == expected.outcomes


def test_the_folder_of_another_run_is_refused(tmp_path):
    other = tmp_path / "other"
    shutil.copytree(ROOT / "inst/extdata/mnist-demo/nt", other)
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    for overwrite in (False, True):
        target = open_run(ROOT / "inst/extdata/mnist-demo/r-at", out=other)
        with pytest.raises(TakenError, match="another run than r-at"):
            evaluate_target(target, Settings(n=8), overwrite=overwrite)
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before


def test_an_evaluation_with_compressed_outcomes_is_kept(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(ROOT / "inst/extdata/mnist-demo/nt", run)
    before = (run / "evaluation.json").read_bytes()
    with pytest.raises(InputError, match=r"outcomes are compressed .* choose another --out"):
        evaluate_target(open_run(run), replace(Settings(), attacks=("fgsm",)))
    assert (run / "evaluation.json").read_bytes() == before
    assert evaluate_run(run, Settings(attacks=("fgsm",), n=8))["finished"]
    assert (run / "evaluation-2/evaluation.json").is_file()
    evaluate_target(open_run(run), replace(Settings(), attacks=("fgsm",), n=8), overwrite=True)
    assert not (run / "outcomes.csv.gz").exists()


def test_attacks_of_an_earlier_command_are_shown_too(tmp_path):
    run = ROOT / "inst/extdata/mnist-demo/nt"
    first, lines = replace(QUICK, attacks=("fgsm", "pgd"), n=20), []
    evaluate_target(open_run(run, out=tmp_path), first)
    evaluate_target(
        open_run(run, out=tmp_path), replace(first, attacks=("fgsm",)), on_line=lines.append
    )
    assert any(line.startswith("PGD-") for line in lines)


def test_another_norm_than_that_of_the_run_needs_an_eps():
    run = ROOT / "inst/extdata/mnist-demo/nt"
    with pytest.raises(InputError, match="is a radius of norm inf: set that of norm 2, --eps"):
        evaluate(run, norm=2, n=8)
    assert evaluate(run, norm=2, eps=1.0, n=8, attacks=["fgsm"]).settings.norm == "2"
