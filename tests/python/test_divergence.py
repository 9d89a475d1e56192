import math

import pytest
import torch
from torch import nn

from networks import conv_network, linear_network
from sense.attacks.checks import check_ball_and_bounds
from sense.attacks.divergence import divergence_pgd
from sense.attacks.losses import divergence


def test_known_answer_on_a_linear_network():
    """The prediction depends on w'x alone, so KL is largest at one of two corners of the ball: on
    the side where the start's noise lies."""
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    x = torch.full((1, 3), 0.5, dtype=torch.float64)
    for side in (1, -1):
        x_adv = divergence_pgd(
            linear_network(w), x, eps=0.1, step_size=0.04, steps=4, start=x + side * 0.001 * w
        )
        torch.testing.assert_close(x_adv, x + side * 0.1 * w.sign())


def test_known_answer_in_l2():
    w = torch.tensor([3.0, -4.0], dtype=torch.float64)
    x = torch.full((1, 2), 0.5, dtype=torch.float64)
    x_adv = divergence_pgd(
        linear_network(w), x, eps=0.2, step_size=9.0, steps=5, norm=2, start=x + 0.001 * w
    )  # the step is 2 eps / K, not step_size
    torch.testing.assert_close(x_adv, x + 0.2 * w / 5)


@pytest.mark.parametrize("norm", [math.inf, 2])
def test_images_in_the_ball_have_a_higher_divergence_than_noise(norm):
    network, x = conv_network(), torch.rand(20, 1, 8, 8, dtype=torch.float64)
    x_adv = divergence_pgd(network, x, eps=0.1, step_size=0.03, steps=5, norm=norm)
    check_ball_and_bounds(x_adv, x, eps=0.1, norm=norm)
    network.eval()
    with torch.no_grad():
        noisy = divergence(network(x), network(x + 0.001 * torch.randn_like(x)))
        assert (divergence(network(x), network(x_adv)) > noisy).all()
        assert not x_adv.requires_grad


def test_a_zero_gradient_in_l2_gives_a_random_step():
    """A network with the same logits for all images, as SmallCNN has before training."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    nn.init.zeros_(network[1].weight)
    x = torch.full((4, 1, 4, 4), 0.5)
    x_adv = divergence_pgd(network, x, eps=0.3, step_size=1.0, steps=2, norm=2)
    assert torch.isfinite(x_adv).all()
    assert ((x_adv - x).flatten(1).norm(dim=1) > 0.1).all()
    check_ball_and_bounds(x_adv, x, eps=0.3, norm=2)
