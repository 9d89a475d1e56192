import pytest
import torch
from torch import nn

from networks import CountRows, conv_network, images_and_labels
from oracles import broken
from sense.attacks import pgd, square

pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")


class Rounded(nn.Module):
    """A defence that masks gradients: pixels are rounded, so that every gradient is zero."""

    def forward(self, x):
        return (16 * x).round() / 16


def test_breaks_a_network_whose_gradients_are_masked():
    network = nn.Sequential(Rounded(), conv_network()).eval()
    x, _ = images_and_labels(network, 40, 1, 8, 8)
    y = network(x).argmax(1)
    by_gradient = pgd(network, x, y, eps=0.1, step_size=0.025, steps=20, random_start=False)
    assert not broken(network, by_gradient, y).any()
    assert broken(network, square(network, x, y, eps=0.1, queries=200), y).float().mean() > 0.5


def test_equals_pyautoattack_to_the_bit():
    network = conv_network().float().eval()
    x = torch.rand(10, 1, 8, 8)
    y = network(x).argmax(1)
    from pyautoattack.square import SquareAttack

    plain = SquareAttack(
        network, n_queries=20, eps=0.1, seed=7, resc_schedule=False, device="cpu"
    ).perturb(x, y)
    ours = square(network, x, y, eps=0.1, queries=20, seed=7)
    assert torch.equal(ours, plain)
    assert not torch.equal(ours, square(network, x, y, eps=0.1, queries=20, seed=8))


@pytest.mark.parametrize("queries", [1, 30])
def test_uses_at_most_the_queries(queries):
    network = CountRows(conv_network())
    x, _ = images_and_labels(network, 1, 1, 8, 8)
    y = network.eval()(x).argmax(1)
    network.rows = 0
    unchanged = square(network, x, y, eps=1e-6, queries=queries)
    assert torch.equal(unchanged, x)
    # The first points are one query; the package also computes the image and the result.
    assert network.rows == queries + 1 + 2


def test_images_of_other_shapes_are_refused():
    network = conv_network()
    x, y = images_and_labels(network, 2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"rows of features of shape \(n, d\), got \(2, 8, 8\)"):
        square(network, x.squeeze(1), y, eps=0.1)
    with pytest.raises(ValueError, match=r"5 x 5 pixels or more .* got 8 x 4"):
        square(network, x[..., :4], y, eps=0.1, norm=2)
