import math

import pytest
import torch

from networks import conv_network, images_and_labels
from sense.config import Config
from sense.methods import Batch, build_method
from sense.methods.mart import mart_losses


def test_known_losses():
    """p(x) = (.7, .2, .1), p(x') = (.5, .4, .1), y = 0."""
    p, q = [0.7, 0.2, 0.1], [0.5, 0.4, 0.1]
    boosted, weighted = mart_losses(
        torch.tensor([p]).double().log(), torch.tensor([q]).double().log(), torch.tensor([0])
    )
    assert boosted.item() == pytest.approx(-math.log(0.5) - math.log(1.0001 - 0.4), rel=1e-6)
    kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert weighted.item() == pytest.approx(kl * 0.3, rel=1e-5)


def test_the_runner_up_is_not_the_true_class():
    logits = torch.tensor([[5.0, 1.0, 0.0], [0.0, 5.0, 1.0]]).double()
    boosted, _ = mart_losses(logits, logits, torch.tensor([0, 0]))
    q = logits.softmax(1)
    expected = [
        -math.log(q[0, 0]) - math.log(1.0001 - q[0, 1]),
        -math.log(q[1, 0]) - math.log(1.0001 - q[1, 1]),
    ]
    assert boosted.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e8])
def test_large_logits_give_no_nan_in_float32(size):
    natural = torch.tensor([[size, 0.0, -size], [0.0, size, 0.0]], requires_grad=True)
    adversarial = torch.tensor([[-size, size, 0.0], [0.0, size, 0.0]], requires_grad=True)
    boosted, weighted = mart_losses(natural, adversarial, torch.tensor([0, 1]))
    gradients = torch.autograd.grad((boosted + weighted).sum(), [natural, adversarial])
    assert torch.isfinite(boosted).all()
    assert torch.isfinite(weighted).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_only_the_two_passes_of_the_loss_update_running_statistics():
    network = conv_network()
    x, y = images_and_labels(network, 16, 1, 8, 8)
    before = int(network[1].num_batches_tracked)
    build_method(Config(method="mart"))(network, Batch(x, y, torch.arange(16)), 0)
    assert int(network[1].num_batches_tracked) == before + 2
