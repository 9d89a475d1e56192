import math

import pytest
import torch

import oracles
import reference
from networks import conv_network, flat_network, images_and_labels, linear_network
from sense.attacks import pgd
from sense.attacks.geometry import random_point

NORMS = pytest.mark.parametrize("norm", [math.inf, 2, 1])


@NORMS
def test_reaches_the_maximum_of_a_linear_model(norm):
    w = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    x, y = torch.rand(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    farthest = {
        math.inf: w.sign(),
        2: w / w.norm(),
        1: torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64),
    }[norm]
    x_adv = pgd(
        linear_network(w),
        x,
        y,
        eps=0.3,
        step_size=0.05,
        steps=60,
        norm=norm,
        random_start=False,
        bounds=(-9, 9),
    )
    torch.testing.assert_close(x_adv, x + 0.3 * farthest, rtol=0, atol=1e-10)


def test_reaches_the_corner_of_ball_and_bounds():
    w = torch.tensor([1.0, -2.0, 3.0])
    x, y = torch.tensor([[0.9, 0.1, 0.5]]), torch.tensor([0])
    x_adv = pgd(linear_network(w), x, y, eps=0.3, step_size=0.1, steps=20)
    torch.testing.assert_close(x_adv, torch.tensor([[1.0, 0.0, 0.8]]))


@NORMS
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_equals_the_reference(norm, classes):
    network = conv_network(classes)
    x, y = images_and_labels(network, 8, 1, 8, 8)
    options = {"eps": 0.6, "step_size": 0.25, "steps": 5, "norm": norm}
    fast = pgd(network, x, y, random_start=False, **options)
    slow = reference.pgd(network, x, y, **options)
    assert (fast != x).flatten(1).any(1).all()
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


@NORMS
def test_equals_the_reference_from_a_random_start_on_flat_images(norm):
    network = flat_network()
    x, y = images_and_labels(network, 8, 6)
    options = {"eps": 0.3, "step_size": 0.1, "steps": 4, "norm": norm}
    torch.manual_seed(5)
    start = random_point(x, 0.3, norm, (0, 1))
    torch.manual_seed(5)
    fast = pgd(network, x, y, **options)
    slow = reference.pgd(network, x, y, start=start, **options)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("norm", "eps"), [(math.inf, 0.1), (2, 1.2)])
def test_agrees_with_foolbox_image_by_image(sample, norm, eps):
    model = oracles.trained("nt", torch.float64)
    x, y = sample.test_x[:60].double() / 255, sample.test_y[:60]
    options = {
        "eps": eps,
        "step_size": eps / 4,
        "steps": 10,
        "norm": norm,
        "start": random_point(x, eps, norm, (0, 1)),
    }
    ours, theirs = pgd(model, x, y, **options), oracles.pgd(model, x, y, **options)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    verdicts = oracles.broken(model, ours, y)
    assert torch.equal(verdicts, oracles.broken(model, theirs, y))
    assert 10 < verdicts.sum() < 50
