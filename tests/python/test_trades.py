import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv_network, images_and_labels
from sense.config import Config
from sense.methods import Batch, build_method

CONFIG = Config(method="trades", eps=0.05, step_size=0.02, steps=3)


def batch_for(network, n=16):
    x, y = images_and_labels(network, n, 1, 8, 8)
    return Batch(x, y, torch.arange(n))


def test_beta_of_zero_is_natural_training():
    network = conv_network()
    network[3].p = 0.0
    batch = batch_for(network)
    loss = build_method(Config(method="trades", beta=0.0))(network, batch, 0).loss
    torch.testing.assert_close(loss, F.cross_entropy(network(batch.x), batch.y))


def test_eps_of_zero_is_natural_training():
    network = conv_network()
    network[3].p = 0.0
    batch = batch_for(network)
    loss = build_method(Config(method="trades", eps=0.0))(network, batch, 0).loss
    torch.testing.assert_close(loss, F.cross_entropy(network(batch.x), batch.y))


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_large_logits_give_no_nan_in_float32(norm, size):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        network[1].weight.mul_(size)
    x, y = images_and_labels(network.double(), 12, 1, 8, 8)
    network.float()
    config = Config(method="trades", norm=norm, eps=0.05, step_size=0.02, steps=3)
    loss = build_method(config)(network, Batch(x.float(), y, torch.arange(12)), 0).loss
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_only_the_three_passes_of_the_loss_update_running_statistics():
    network = conv_network()
    before = int(network[1].num_batches_tracked)
    build_method(CONFIG)(network, batch_for(network), 0)
    assert int(network[1].num_batches_tracked) == before + 3
