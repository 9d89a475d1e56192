import pytest
import torch

import oracles
from networks import conv_network, images_and_labels
from sense.attacks import pgd, transfer

OPTIONS = {"eps": 0.1, "step_size": 0.02, "steps": 10}


def test_equals_pgd_on_the_source_and_does_not_call_the_victim():
    victim, source = conv_network(seed=0), conv_network(seed=1)
    x, y = images_and_labels(source, 8, 1, 8, 8)
    victim.forward = None  # a call would fail
    torch.manual_seed(1)
    made = transfer(victim, x, y, source=source, **OPTIONS)
    torch.manual_seed(1)
    assert torch.equal(made, pgd(source, x, y, **OPTIONS))


@pytest.mark.parametrize(("source", "victim"), [("nt", "sense"), ("r-at", "nt")])
def test_breaks_fewer_images_of_another_network_than_pgd_on_it(sample, source, victim):
    source, victim = oracles.trained(source), oracles.trained(victim)
    x, y = sample.test_x[:100].float() / 255, sample.test_y[:100]
    made = transfer(victim, x, y, source=source, **OPTIONS)
    abroad, at_home = oracles.broken(victim, made, y), oracles.broken(source, made, y)
    white_box = oracles.broken(victim, pgd(victim, x, y, **OPTIONS), y)
    assert at_home.sum() >= 8
    assert abroad.sum() <= white_box.sum()
