import pytest
import torch

from networks import conv_network
from sense.attacks import pgd
from sense.attacks.modes import attack_mode


def buffers(network):
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("mode", ["evaluation", "training", "updating"])
def test_only_updating_changes_running_statistics(mode):
    network, x = conv_network(), torch.rand(8, 1, 8, 8, dtype=torch.float64)
    before = buffers(network)
    with attack_mode(network, mode):
        assert network.training == (mode != "evaluation")
        inside = network(x)
    assert network.training
    assert same(before, buffers(network)) == (mode != "updating")
    assert inside.requires_grad


def test_training_mode_uses_dropout_and_the_statistics_of_the_batch():
    network, x = conv_network(), torch.rand(8, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(1)
    expected = network(x)
    torch.manual_seed(1)
    with attack_mode(network, "training"):
        assert torch.equal(network(x), expected)


def test_training_mode_keeps_frozen_modules_frozen():
    network = conv_network()
    network[1].eval()
    with attack_mode(network, "training"):
        assert [network[1].training, network[3].training] == [False, True]
    assert [network[1].training, network[3].training] == [False, True]


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_modes_and_buffers_are_restored_after_an_error(mode):
    network, x = conv_network(), torch.rand(8, 1, 8, 8, dtype=torch.float64)
    before = buffers(network)
    with pytest.raises(RuntimeError, match="conv2d"), attack_mode(network, mode):
        network(torch.cat([network(x)] * 2))
    assert same(before, buffers(network))
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("mode", ["evaluation", "training", "updating"])
def test_pgd_uses_the_mode(mode):
    network, x = conv_network(), torch.rand(8, 1, 8, 8, dtype=torch.float64)
    before = buffers(network)
    pgd(network, x, torch.zeros(8).long(), eps=0.1, step_size=0.1, steps=3, mode=mode)
    tracked = int(network[1].num_batches_tracked - before["1.num_batches_tracked"])
    assert tracked == (3 if mode == "updating" else 0)
