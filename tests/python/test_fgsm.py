import math

import pytest
import torch

import oracles
from networks import conv_network, images_and_labels, linear_network
from sense.attacks import fgsm, pgd

NORMS = pytest.mark.parametrize("norm", [math.inf, 2, 1])


@NORMS
def test_raises_a_linear_logit_by_eps_times_its_dual_norm(norm):
    w = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    x, y = torch.rand(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    x_adv = fgsm(linear_network(w), x, y, eps=0.3, norm=norm, bounds=(-9, 9))
    rise = {math.inf: 6.5, 2: w.norm().item(), 1: (w @ w / w.abs().sum()).item()}[norm]
    torch.testing.assert_close((x_adv - x) @ w, torch.full((5,), 0.3 * rise, dtype=torch.float64))


@NORMS
def test_equals_one_step_of_pgd_of_length_eps(norm):
    network = conv_network()
    x, y = images_and_labels(network, 8, 1, 8, 8)
    one = pgd(network, x, y, eps=0.2, step_size=0.2, steps=1, norm=norm, random_start=False)
    assert torch.equal(fgsm(network, x, y, eps=0.2, norm=norm), one)


@pytest.mark.parametrize(("norm", "eps"), [(math.inf, 0.1), (2, 1.5), (1, 30.0)])
def test_agrees_with_foolbox_image_by_image(sample, norm, eps):
    model = oracles.trained("nt", torch.float64)
    x, y = sample.test_x[:100].double() / 255, sample.test_y[:100]
    ours, theirs = (attack(model, x, y, eps=eps, norm=norm) for attack in (fgsm, oracles.fgsm))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    verdicts = oracles.broken(model, ours, y)
    assert torch.equal(verdicts, oracles.broken(model, theirs, y))
    assert 20 < verdicts.sum() < 80
