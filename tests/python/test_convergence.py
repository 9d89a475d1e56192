import csv
import math

import torch
import torch.nn.functional as F

from sense.attacks import pgd
from sense.data import to_float
from sense.evaluation.batches import cut
from sense.evaluation.convergence import (
    CONVERGENCE,
    CONVERGENCE_ACCURACY,
    follow,
    follow_batches,
    write_convergence,
)
from sense.evaluation.settings import Settings
from sense.runs import load_model

SETTINGS = Settings(eps=0.1, steps=4, restarts=3, step_size=0.05, convergence=50, batch=30)


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def network(trained):
    folder, data = trained
    return load_model(folder), to_float(data.test_x[:80]), data.test_y[:80]


def test_the_points_are_those_of_pgd(trained):
    """Losses and verdicts of the first restart, written out with `pgd` of 1, 2 ... steps."""
    model, x, y = network(trained)
    torch.manual_seed(3)
    course = follow(model, x, y, SETTINGS)
    right = model(x).argmax(1) == y
    for step in range(1, 5):
        torch.manual_seed(3)
        z = pgd(model, x, y, eps=0.1, steps=step, step_size=0.05, norm=math.inf)
        right &= model(z).argmax(1) == y
        expected = F.cross_entropy(model(z), y, reduction="none")
        torch.testing.assert_close(course.loss[step], expected)
        # At the random start too an image may fall; those the course has not.
        assert (course.right[0, step] <= right).all()
    assert course.loss.shape == (5, 80)
    assert course.right.shape == (3, 5, 80)


def test_what_fell_does_not_rise_again_and_more_restarts_fell_more(trained):
    model, x, y = network(trained)
    torch.manual_seed(3)
    right = follow(model, x, y, SETTINGS).right
    in_order = right.flatten(0, 1).int()
    assert (in_order.diff(dim=0) <= 0).all()
    counts = right.sum(2)
    assert counts[0, 0] > counts[0, 4] >= counts[2, 4]
    assert counts[0, 0] <= (model(x).argmax(1) == y).sum()


def test_the_files_are_of_the_first_images(trained, locked, tmp_path):
    folder, data = trained
    model = load_model(folder)
    images = list(range(10, 90))
    batches = cut(images, data.test_x, data.test_y, 30, torch.device("cpu"))
    done = []
    course = follow_batches(model, batches, SETTINGS, done.append)
    assert done == [30, 20]
    assert course.loss.shape == (5, 50)
    write_convergence(locked, images, course)
    losses = table(tmp_path / CONVERGENCE)
    assert len(losses) == 50 * 5
    assert (losses[7]["image"], losses[7]["step"]) == ("11", "2")
    assert math.isclose(float(losses[7]["loss"]), float(course.loss[2, 1]), rel_tol=1e-6)
    rows = table(tmp_path / CONVERGENCE_ACCURACY)
    assert [(row["restart"], row["step"]) for row in rows[4:7]] == [
        ("1", "4"),
        ("2", "0"),
        ("2", "1"),
    ]
    assert [int(row["k"]) for row in rows] == course.right.sum(2).flatten().tolist()
    assert {row["n"] for row in rows} == {"50"}
