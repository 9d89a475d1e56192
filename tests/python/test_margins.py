import math

import pytest
import torch

from networks import conv_network, images_and_labels, linear_network
from sense.attacks.losses import soft_margin
from sense.attacks.margins import boundary_points

W = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
X = torch.tensor([[0.3, 0.6, 0.4], [0.4, 0.9, 0.2]], dtype=torch.float64)


@pytest.mark.parametrize(("norm", "dual", "near"), [(math.inf, 1, 1e-6), (2, 2, 0.01)])
def test_known_margins_of_a_linear_network(norm, dual, near):
    """Label 0 has p = 1/2 where w'x = 0, which is |w'x| / |w| in the dual norm away. In l2, steps
    of 2.5 eps in all leave a part of the random start in the direction."""
    expected = -(X @ W) / torch.linalg.vector_norm(W, ord=dual)
    points, distance = boundary_points(
        linear_network(W),
        X,
        torch.zeros(2).long(),
        eps=torch.full((2,), 0.05).double(),
        farthest=1.0,
        steps=100,
        norm=norm,
        searches=30,
    )
    torch.testing.assert_close(distance, expected, rtol=near, atol=0)
    torch.testing.assert_close(points @ W, torch.zeros(2).double(), rtol=0, atol=1e-4)


def test_ten_searches_find_the_distance_up_to_a_thousandth():
    _, distance = boundary_points(
        linear_network(W),
        X,
        torch.zeros(2).long(),
        eps=torch.full((2,), 0.05).double(),
        farthest=1.0,
        steps=20,
    )
    assert (distance - -(X @ W) / W.abs().sum()).abs().max() < 2**-9


def test_a_boundary_beyond_the_farthest_distance_gives_that_distance():
    _, distance = boundary_points(
        linear_network(W),
        X,
        torch.zeros(2).long(),
        eps=torch.full((2,), 0.01).double(),
        farthest=0.02,
        steps=5,
    )
    torch.testing.assert_close(distance, torch.full((2,), 0.02).double(), rtol=1e-3, atol=0)


def test_points_have_a_soft_margin_near_zero():
    network = conv_network()
    x, y = images_and_labels(network, 40, 1, 8, 8)
    network.eval()
    with torch.no_grad():
        right = soft_margin(network(x), y) < 0
    network.train()
    x, y = x[right], y[right]
    points, distance = boundary_points(
        network,
        x,
        y,
        eps=torch.full((len(x),), 0.05).double(),
        farthest=0.3,
        steps=10,
        searches=25,
    )
    network.eval()
    inside = (distance < 0.29) & ((points >= 0) & (points <= 1)).flatten(1).all(1)
    assert inside.sum() > 5
    with torch.no_grad():
        assert soft_margin(network(points[inside]), y[inside]).abs().max() < 1e-3
