"""The worst of each image is over all that was found in the ball: attacks, curve, and PGD's course,
in Python and, by the same rows, in R."""

import csv
from dataclasses import replace

import pytest
import torch

from sense.evaluation.compare import compare
from sense.evaluation.convergence import follow_batches
from sense.evaluation.evaluate import evaluate_target
from sense.evaluation.found import add_convergence, add_curve, is_part
from sense.evaluation.outcomes import Record, read_outcomes
from sense.evaluation.settings import Settings
from sense.evaluation.targets import open_run

# One short step: the curve and the course, with starts of their own, break other images too.
SHORT = Settings(
    n=120,
    eps=0.08,
    steps=2,
    restarts=1,
    step_size=0.05,
    curve=(0.04, 0.08, 0.2),
    convergence=50,
    batch=50,
    diagnostics=False,
    seed=3,
)


@pytest.fixture(scope="module", params=[False, True], ids=["each", "cascade"])
def evaluated(request, trained, tmp_path_factory):
    run, data = trained
    target = open_run(run, data=data, out=tmp_path_factory.mktemp("found") / "out")
    settings = replace(SHORT, cascade=request.param)
    content = evaluate_target(target, settings)
    rows = {}
    for row in read_outcomes(target.folder):
        rows.setdefault(row.attack, {})[row.image] = bool(row.correct)
    return target, settings, content, rows


def test_the_worst_is_over_the_curve_at_radii_within_the_ball_and_over_the_course(evaluated):
    target, settings, content, rows = evaluated
    at = {}
    for row in csv.DictReader((target.folder / "curve_outcomes.csv").read_text().splitlines()):
        at.setdefault(float(row["eps"]), {})[int(row["image"])] = row["correct"] == "1"
    assert sum(at[0.2].values()) < sum(at[0.08].values())  # not in the ball
    course = table(target.folder / "convergence_accuracy.csv")[-1]
    worst = [
        rows["natural"][i]
        and rows["pgd"][i]
        and at[0.08][i]
        and at[0.04][i]
        and rows["convergence"][i]
        for i in rows["natural"]
    ]
    assert content["accuracy"]["worst"]["k"] == sum(worst)
    pgd = [rows["pgd"][i] for i in rows["pgd"]]
    assert sum(worst) < sum(pgd)
    if not settings.cascade:
        assert content["accuracy"]["curve"]["k"] == sum(at[0.08].values())
        assert int(course["k"]) == sum(rows["convergence"][i] for i in list(rows["natural"])[:50])


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_images_that_the_course_did_not_see_are_no_accuracy(evaluated):
    _, _, content, rows = evaluated
    assert list(content["attacks"]) == ["natural", "pgd", "curve", "convergence"]
    assert list(content["accuracy"]) == ["natural", "pgd", "curve", "worst"]
    told = content["attacks"]["convergence"]
    assert is_part(told)
    assert not is_part(content["attacks"]["curve"])
    right = list(rows["natural"].values())
    assert (told["images"], told["attacked"]) == (50, sum(right[:50]))
    assert content["attacks"]["curve"]["attacked"] == sum(right)
    assert told["label"] == "PGD-2 x 1, step by step"
    assert content["attacks"]["curve"]["label"] == "PGD-2 x 1, radii to 0.08"
    same = [rows["convergence"][i] == rows["natural"][i] for i in list(rows["natural"])[50:]]
    assert all(same) or content["options"]["cascade"]


def test_given_again_nothing_is_added_twice(evaluated):
    target, settings, content, _ = evaluated
    before = (target.folder / "outcomes.csv").read_bytes()
    again = evaluate_target(target, settings)
    assert (target.folder / "outcomes.csv").read_bytes() == before
    assert again["accuracy"] == content["accuracy"]
    assert again["finished"]


def test_two_networks_are_compared_by_the_worst_and_not_by_a_part(evaluated):
    target = evaluated[0]
    compared = compare({"one": target.folder, "two": target.folder})
    assert [pair["attack"] for pair in compared["pairs"]] == ["natural", "pgd", "curve", "worst"]


def test_what_the_course_says_is_what_first_broke_an_image(trained):
    from sense.data import to_float
    from sense.evaluation.batches import cut
    from sense.runs import load_model

    folder, data = trained
    model, settings = load_model(folder), replace(SHORT, restarts=2).complete(None, "inf")
    batches = cut(range(60), data.test_x, data.test_y, 50, torch.device("cpu"))
    course = follow_batches(model, batches, settings)
    y = data.test_y[:50]
    assert torch.equal(course.predictions == y, course.right[-1, -1])
    natural = model(to_float(data.test_x[:50])).argmax(1)
    wrong = natural != y
    assert torch.equal(course.predictions[wrong], natural[wrong])


def test_rows_of_no_ball_and_of_larger_radii_are_left_out():
    record, curve = Record(range(2), [1, 1], 2), Record(range(2), [1, 1], 2, key="eps")
    record.add("natural", [1, 1])
    for eps in ("0.0", "0.5"):
        curve.add(eps, [0, 0])
    content = {"attacks": {}, "finished": True}
    add_curve(content, record, curve, Settings(eps=0.1, norm="inf"), pytest.fail)
    add_convergence(content, record, [0], Settings(eps=0.0, norm="inf"), pytest.fail)
    assert list(record.predictions) == ["natural"]
    saved = []
    add_curve(
        content,
        record,
        curve,
        Settings(eps=0.5, norm="inf"),
        lambda: saved.append(list(record.predictions)),
    )
    assert record.predictions["curve"] == [0, 0]
    assert saved == [["natural"]]  # evaluation.json tells of it before the rows are there
    assert not content["finished"]
