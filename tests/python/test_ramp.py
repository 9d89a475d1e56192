import copy
import math
from dataclasses import replace

import pytest
import torch

from networks import conv_network, images_and_labels
from sense.config import Config
from sense.methods import Batch, build_method
from sense.methods.ramp import GrowingRadius

CONFIG = Config(method="sense", c=0.1, eps=0.2, step_size=0.1, steps=3, eps_first=0.05, eps_ramp=2)


@pytest.fixture
def network():
    return conv_network()


@pytest.fixture
def batch(network):
    x, y = images_and_labels(network, 32, 1, 8, 8)
    return Batch(x, y, torch.arange(32))


def gradient(config, network, batch, epoch):
    """Of a method's loss, by all weights, with the random starts and the dropout of seed 1."""
    model = copy.deepcopy(network)
    torch.manual_seed(1)
    build_method(config)(model, batch, epoch).loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize(
    ("epoch", "part"), [(0, 0.25), (0.5, 0.4375), (1, 0.625), (2, 1), (7.5, 1)]
)
def test_radius_and_step_grow_in_proportion_to_the_time(epoch, part):
    built = []
    ramp = GrowingRadius(lambda p: built.append(p) or (lambda *_: None), first=0.25, epochs=2)
    ramp(None, None, epoch)
    assert built == [pytest.approx(part)]


@pytest.mark.parametrize("method", ["sense", "r-at", "trades", "mart", "sense-trades"])
def test_the_method_is_its_own_with_the_radius_of_the_time(method, network, batch):
    growing = replace(CONFIG, method=method)
    halfway = replace(growing, eps=0.125, step_size=0.0625, eps_ramp=0, eps_first=None)
    full = replace(growing, eps_ramp=0)
    torch.testing.assert_close(
        gradient(growing, network, batch, 1.0), gradient(halfway, network, batch, 1.0)
    )
    torch.testing.assert_close(
        gradient(growing, network, batch, 2.0), gradient(full, network, batch, 2.0)
    )
    assert not torch.allclose(
        gradient(growing, network, batch, 1.0), gradient(full, network, batch, 1.0)
    )


def test_it_begins_with_a_third_of_the_radius_unless_told():
    assert build_method(replace(CONFIG, eps_first=None)).part(0.0) == pytest.approx(1 / 3)


def test_the_full_radius_is_built_once():
    count = []
    ramp = GrowingRadius(lambda p: count.append(p) or (lambda *_: None), first=0.5, epochs=1)
    for epoch in (1.0, 1.5, 2.0, math.inf):
        ramp(None, None, epoch)
    assert count == [1.0]


def test_a_radius_of_zero_has_nothing_to_grow(network, batch):
    still = replace(CONFIG, eps=0.0, eps_first=None)
    plain = replace(CONFIG, method="nt", eps_first=None)
    torch.testing.assert_close(
        gradient(still, network, batch, 0.0), gradient(plain, network, batch, 0.0)
    )
