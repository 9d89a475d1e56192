"""PGD by radius and by step: their files, and what they add to the outcomes."""

import csv
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from networks import linear_network
from sense.attacks import pgd
from sense.data import to_float
from sense.evaluation.batch_size import BatchSize
from sense.evaluation.compare import compare
from sense.evaluation.curves import (
    CONVERGENCE,
    CONVERGENCE_ACCURACY,
    CURVE,
    CURVE_OUTCOMES,
    add_convergence,
    add_curve,
    run_curve,
    trace_batches,
    trace_pgd,
    write_convergence,
    write_curve,
)
from sense.evaluation.outcomes import CorrectMatrix, Record, read_outcomes
from sense.evaluation.runner import evaluated_images
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_target
from sense.evaluation.targets import open_run
from sense.runs import load
from sense.statistics import wilson

CPU = torch.device("cpu")
RADII = (0.0, 0.01, 0.02, 0.05)
TRACED = Settings(eps=0.1, steps=4, restarts=3, step_size=0.05, convergence=50, batch=30)


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def linear():
    """A network whose robust accuracy has a closed form: w'x changes by eps |w|_1 and no more."""
    torch.manual_seed(7)
    w = torch.randn(16)
    w = w - w.mean()
    x = 0.3 + 0.4 * torch.rand(100, 1, 4, 4)  # no bound is reached
    score = x.flatten(1) @ w
    y = (score > 0).long()
    y[:5] = 1 - y[:5]
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(w))
    robust = {eps: (score.abs() > eps * w.abs().sum()) & ((score > 0).long() == y) for eps in RADII}
    return model, evaluated_images(range(100), x, y, CPU), y, robust


def settings(**options):
    return Settings(
        **{"eps": 0.3, "steps": 10, "restarts": 1, "batch": 30, "curve": RADII[::-1], **options}
    ).complete(None, None)


def test_the_curve_of_a_linear_network_is_the_closed_form(linear, locked, tmp_path):
    model, images, y, robust = linear
    record = Record(range(100), y.tolist(), key="eps")
    done = []
    run_curve(model, images, settings(), record, BatchSize(30), done.append)
    assert sum(done) == 4 * 100
    assert done[:4] == [30, 30, 30, 10]  # no attack: all images count
    assert len(done) < 16  # later, misclassified images do not
    for eps in RADII:
        assert torch.equal(record.correct()[repr(eps)], robust[eps])
    assert 5 < sum(robust[0.05]) < sum(robust[0.0]) == 95
    write_curve(locked, record)
    rows = table(tmp_path / CURVE)
    assert [float(row["eps"]) for row in rows] == list(RADII)
    for row, eps in zip(rows, RADII, strict=True):
        expected = wilson(int(robust[eps].sum()), 100)
        assert (int(row["k"]), int(row["n"])) == expected[:2]
        interval = [float(row[name]) for name in ("estimate", "lower", "upper")]
        assert interval == [expected.estimate, expected.lower, expected.upper]


def test_interrupted_after_any_batch_the_curve_is_the_same(linear, locked):
    model, images, y, _ = linear
    some = settings(steps=1, curve=(0.01, 0.02))
    whole = Record(range(100), y.tolist(), key="eps")
    run_curve(model, images, some, whole, BatchSize(30))

    def in_file():
        return Record(range(100), y.tolist(), locked, CURVE_OUTCOMES, "eps")

    for most in (1, 4, 6):
        locked.remove([CURVE_OUTCOMES])
        left = iter(range(most))

        def stop(_, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_curve(model, images, some, in_file(), BatchSize(30), stop)
        again = in_file()
        run_curve(model, images, some, again, BatchSize(7))
        assert again.outcomes() == whole.outcomes()


@pytest.fixture
def network(trained):
    folder, data = trained
    return load(folder), to_float(data.test_x[:80]), data.test_y[:80]


def test_the_traced_points_are_those_of_pgd(network):
    """The first restart, written out with `pgd` of 1, 2 ... steps."""
    model, x, y = network
    torch.manual_seed(3)
    trace = trace_pgd(model, x, y, TRACED)
    correct = model(x).argmax(1) == y
    for step in range(1, 5):
        torch.manual_seed(3)
        z = pgd(model, x, y, eps=0.1, steps=step, step_size=0.05, norm=math.inf)
        correct &= model(z).argmax(1) == y
        expected = F.cross_entropy(model(z), y, reduction="none")
        torch.testing.assert_close(trace.loss[step], expected)
        # The trace counts the random start as well.
        assert (trace.correct[0, step] <= correct).all()
    assert trace.loss.shape == (5, 80)
    assert trace.correct.shape == (3, 5, 80)


def test_a_misclassified_image_stays_misclassified_and_restarts_find_more(network):
    model, x, y = network
    torch.manual_seed(3)
    correct = trace_pgd(model, x, y, TRACED).correct
    assert (correct.flatten(0, 1).int().diff(dim=0) <= 0).all()
    counts = correct.sum(2)
    assert counts[0, 0] > counts[0, 4] >= counts[2, 4]
    assert counts[0, 0] <= (model(x).argmax(1) == y).sum()


def test_the_trace_has_the_first_wrong_prediction_of_each_image(network):
    model, x, y = network
    torch.manual_seed(3)
    trace = trace_pgd(model, x, y, TRACED)
    assert torch.equal(trace.predictions == y, trace.correct[-1, -1])
    natural = model(x).argmax(1)
    wrong = natural != y
    assert torch.equal(trace.predictions[wrong], natural[wrong])


def test_the_convergence_files_are_of_the_first_images(trained, locked, tmp_path):
    folder, data = trained
    model = load(folder)
    images = list(range(10, 90))
    chosen = evaluated_images(images, data.test_x, data.test_y, CPU)
    done = []
    trace = trace_batches(model, chosen, TRACED, BatchSize(30), done.append)
    assert done == [30, 20]
    assert trace.loss.shape == (5, 50)
    write_convergence(locked, images, trace)
    losses = table(tmp_path / CONVERGENCE)
    assert len(losses) == 50 * 5
    assert (losses[7]["image"], losses[7]["step"]) == ("11", "2")
    assert math.isclose(float(losses[7]["loss"]), float(trace.loss[2, 1]), rel_tol=1e-6)
    rows = table(tmp_path / CONVERGENCE_ACCURACY)
    assert [(row["restart"], row["step"]) for row in rows[4:7]] == [
        ("1", "4"),
        ("2", "0"),
        ("2", "1"),
    ]
    assert [int(row["k"]) for row in rows] == trace.correct.sum(2).flatten().tolist()
    assert {row["n"] for row in rows} == {"50"}


# Long steps: curve and convergence break other images than the last step of PGD.
SHORT = Settings(
    n=120,
    eps=0.08,
    steps=4,
    restarts=1,
    step_size=0.2,
    curve=(0.04, 0.08, 0.2),
    convergence=50,
    batch=50,
    diagnostics=False,
    seed=3,
)


@pytest.fixture(scope="module", params=[False, True], ids=["each", "cascade"])
def evaluated(request, trained, tmp_path_factory):
    run, data = trained
    target = open_run(run, data=data, out=tmp_path_factory.mktemp("curves") / "out")
    settings = replace(SHORT, cascade=request.param)
    content = evaluate_target(target, settings)
    return target, settings, content, CorrectMatrix.from_outcomes(read_outcomes(target.folder))


def test_the_worst_includes_the_curve_within_the_ball_and_the_convergence(evaluated):
    target, settings, content, correct = evaluated
    at = {eps: torch.zeros(120, dtype=torch.bool) for eps in settings.curve}
    for row in table(target.folder / CURVE_OUTCOMES):
        at[float(row["eps"])][int(row["image"])] = row["correct"] == "1"
    assert at[0.2].sum() < at[0.08].sum()  # 0.2 is outside the ball
    worst = correct.under(["natural", "pgd", "convergence"]) & at[0.08] & at[0.04]
    assert content["accuracy"]["worst"]["k"] == int(worst.sum()) < int(correct["pgd"].sum())
    if not settings.cascade:
        assert content["accuracy"]["curve"]["k"] == int(at[0.08].sum())
        last = table(target.folder / CONVERGENCE_ACCURACY)[-1]
        assert int(last["k"]) == int(correct["convergence"][:50].sum())


def test_convergence_has_no_accuracy_of_its_own(evaluated):
    _, settings, content, correct = evaluated
    assert list(content["attacks"]) == ["natural", "pgd", "curve", "convergence"]
    assert list(content["accuracy"]) == ["natural", "pgd", "curve", "worst"]
    natural, entry = correct["natural"], content["attacks"]["convergence"]
    assert (entry["images"], entry["attacked"]) == (50, int(natural[:50].sum()))
    assert entry["label"] == "PGD-4 x 1, step by step"
    curve = content["attacks"]["curve"]
    assert (curve["label"], curve["attacked"]) == ("PGD-4 x 1, radii to 0.08", int(natural.sum()))
    same = torch.equal(correct["convergence"][50:], natural[50:])
    assert same or settings.cascade


def test_a_repeated_evaluation_adds_nothing(evaluated):
    target, settings, content, _ = evaluated
    before = (target.folder / "outcomes.csv").read_bytes()
    again = evaluate_target(target, settings)
    assert (target.folder / "outcomes.csv").read_bytes() == before
    assert again["accuracy"] == content["accuracy"]
    assert again["finished"]


def test_a_comparison_includes_the_curve_and_not_the_convergence(evaluated):
    target = evaluated[0]
    compared = compare({"one": target.folder, "two": target.folder})
    assert [pair["attack"] for pair in compared["pairs"]] == ["natural", "pgd", "curve", "worst"]


def test_radii_of_zero_and_outside_the_ball_add_nothing():
    record, curve = Record(range(2), [1, 1]), Record(range(2), [1, 1], key="eps")
    record.add("natural", [1, 1])
    for eps in ("0.0", "0.5"):
        curve.add(eps, [0, 0])
    content = {"attacks": {}, "finished": True}
    add_curve(content, record, curve, Settings(eps=0.1, norm="inf"), pytest.fail)
    add_convergence(content, record, [0], Settings(eps=0.0, norm="inf"), pytest.fail)
    assert list(record.predictions) == ["natural"]


def test_evaluation_json_lists_the_curve_before_its_rows_are_written():
    record, curve = Record(range(2), [1, 1]), Record(range(2), [1, 1], key="eps")
    record.add("natural", [1, 1])
    curve.add("0.5", [0, 0])
    content, saved = {"attacks": {}, "finished": True}, []

    def save():
        saved.append((list(content["attacks"]), list(record.predictions)))

    add_curve(content, record, curve, Settings(eps=0.5, norm="inf"), save)
    assert saved == [(["curve"], ["natural"])]
    assert record.predictions["curve"] == [0, 0]
    assert not content["finished"]
