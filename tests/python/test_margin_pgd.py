import math

import pytest
import torch
from torch import nn

import reference
from networks import Sharper, conv_network, images_and_labels, linear_network
from oracles import broken
from sense.attacks import margin_pgd, pgd

NORMS = pytest.mark.parametrize("norm", [math.inf, 2, 1])


@NORMS
def test_reaches_the_maximum_of_a_linear_model(norm):
    w = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    x, y = torch.rand(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    x_adv = margin_pgd(
        linear_network(w), x, y, eps=0.3, step_size=0.05, steps=60, norm=norm, bounds=(-9, 9)
    )
    dual = {math.inf: w.abs().sum(), 2: w.norm(), 1: w.abs().max()}[norm]
    torch.testing.assert_close((x_adv - x) @ w, (0.3 * dual).expand(5), rtol=1e-6, atol=0)


@NORMS
@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_equals_the_reference(norm, loss):
    network = conv_network(classes=5)
    x, _ = images_and_labels(network, 6, 1, 8, 8)
    # Correctly classified images, and a small radius: if y has the third logit, the ratio is
    # constant and its gradient is rounding error.
    y = network.eval()(x).argmax(1)
    options = {"eps": 0.03, "step_size": 0.01, "steps": 3, "norm": norm}
    fast = margin_pgd(network, x, y, loss=loss, random_start=False, **options)
    slow = reference.pgd(network, x, y, climbed=getattr(reference, loss), **options)
    assert (fast != x).flatten(1).any(1).all()
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


def test_breaks_images_whose_cross_entropy_has_no_gradient():
    """A defence that masks gradients: logits so large that the cross-entropy of a correct
    prediction is 0 in float32, and so is its gradient."""
    w = torch.tensor([1.0, -2.0, 3.0, 0.5])
    network = nn.Sequential(linear_network(w), Sharper(1e4))
    x = torch.rand(200, 4)
    y = (x @ w > 0).long()
    x, y = x[(x @ w).abs() > 0.2], y[(x @ w).abs() > 0.2]
    options = {"eps": 0.3, "step_size": 0.1, "steps": 10, "random_start": False}
    assert not broken(network, pgd(network, x, y, **options), y).any()
    assert broken(network, margin_pgd(network, x, y, **options), y).float().mean() > 0.5


def test_the_loss_dlr_needs_three_classes():
    network = conv_network(classes=2)
    x, y = images_and_labels(network, 2, 1, 8, 8)
    with pytest.raises(ValueError, match="the loss dlr needs at least 3 classes, the model has 2"):
        margin_pgd(network, x, y, eps=0.5, step_size=0.2, steps=5, loss="dlr")
