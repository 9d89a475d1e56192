import math

import pytest
import torch
from torch import nn

import oracles
from networks import conv_network, images_and_labels, linear_network
from sense.attacks import deepfool, deepfool_points

NORMS = pytest.mark.parametrize("norm", [math.inf, 2])


def hyperplanes(*rows: list[float]) -> nn.Linear:
    """Class k has the logit w_k'x, in float64."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


@NORMS
def test_finds_the_distance_to_a_hyperplane(norm):
    w = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    x = torch.randn(50, 4, dtype=torch.float64)
    y = (x @ w > 0).long()
    points, distances = deepfool_points(
        linear_network(w), x, y, norm=norm, overshoot=0.02, bounds=(-99, 99)
    )
    exact = (x @ w).abs() / (w.abs().sum() if norm == math.inf else w.norm())
    # One step is enough; it goes 1e-4 and 2 % past the boundary.
    torch.testing.assert_close(distances, 1.02 * (exact + 1e-4))
    assert ((points @ w > 0).long() != y).all()


@NORMS
def test_goes_to_the_nearest_of_several_boundaries(norm):
    network = hyperplanes([0.0, 0.0], [1.0, 0.0], [1.5, 1.5], [0.0, 2.0])
    x, y = torch.tensor([[-1.0, -3.0], [-3.0, -1.0]]).double(), torch.tensor([0, 0])
    points, distances = deepfool_points(network, x, y, norm=norm, bounds=(-9, 9))
    # In l2 and l-infinity alike the axis nearest to x: x_1 = 0, then x_2 = 0. The diagonal
    # x_1 + x_2 = 0 is 2 sqrt(2) away in l2, 2 in l-infinity.
    assert network(points).argmax(1).tolist() == [1, 3]
    torch.testing.assert_close(distances, torch.full((2,), 1.02 * 1.0001).double())


def test_fewer_candidates_find_fewer_boundaries():
    network = hyperplanes([0.0, 0.0], [1.0, 0.0], [0.0, 0.2])
    x, y = torch.tensor([[-1.0, -2.0]]).double(), torch.tensor([0])
    both = deepfool_points(network, x, y, norm=2, bounds=(-9, 9))
    # Class 2 has the higher logit at x, -0.4, but its boundary is farther.
    likelier = deepfool_points(network, x, y, norm=2, candidates=2, bounds=(-9, 9))
    assert both.distances.item() == pytest.approx(1.02 * 1.0001)
    assert likelier.distances.item() == pytest.approx(1.02 * 2.0001)


@NORMS
def test_points_farther_than_eps_are_not_returned(norm):
    w = torch.tensor([3.0, -4.0], dtype=torch.float64)
    x = torch.tensor([[-0.1, 0.0], [-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    y = torch.zeros(3, dtype=torch.int64)
    found = deepfool_points(linear_network(w), x, y, norm=norm, bounds=(-9, 9))
    assert found.distances[2] == 0  # misclassified as it is
    eps = found.distances[0].item()
    x_adv = deepfool(linear_network(w), x, y, eps=eps, norm=norm, bounds=(-9, 9))
    assert torch.equal(x_adv[0], found.points[0])
    assert torch.equal(x_adv[1:], x[1:])
    short = deepfool(linear_network(w), x, y, eps=0.999 * eps, norm=norm, bounds=(-9, 9))
    assert torch.equal(short, x)


@NORMS
def test_an_image_without_a_boundary_is_unchanged(norm):
    network = hyperplanes([0.0, 0.0], [0.0, 0.0])  # a tie: class 0 everywhere, no gradient
    x, y = torch.rand(3, 2, dtype=torch.float64), torch.tensor([0, 0, 1])
    points, distances = deepfool_points(network, x, y, norm=norm)
    assert torch.equal(points, x)
    assert distances.tolist() == [math.inf, math.inf, 0]


@NORMS
def test_points_have_the_returned_distances_and_another_class(norm):
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 30, 1, 8, 8)
    points, distances = deepfool_points(network, x, y, norm=norm)
    torch.testing.assert_close((points - x).flatten(1).norm(p=norm, dim=1), distances)
    assert oracles.broken(network, points, y).all()
    assert points.min() >= 0
    assert points.max() <= 1
    nearer = x + 0.9 * (points - x)
    assert not oracles.broken(network, nearer, y)[distances > 0].all()


@pytest.mark.parametrize(("norm", "eps"), [(math.inf, 0.1), (2, 1.5)])
def test_agrees_with_foolbox_image_by_image(sample, norm, eps):
    model = oracles.trained("nt", torch.float64)
    x, y = sample.test_x[:20].double() / 255, sample.test_y[:20]
    ours, theirs = deepfool_points(model, x, y, norm=norm), oracles.deepfool(model, x, y, norm=norm)
    distances = (theirs - x).flatten(1).norm(p=norm, dim=1)
    torch.testing.assert_close(ours.distances, distances, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(ours.points, theirs, rtol=0, atol=1e-6)
    verdicts = oracles.broken(model, deepfool(model, x, y, eps=eps, norm=norm), y)
    assert torch.equal(verdicts, oracles.broken(model, theirs, y) & (distances <= eps))
    assert 4 < verdicts.sum() < 16
