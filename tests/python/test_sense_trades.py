import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from networks import conv_network, images_and_labels
from sense.attacks import Stage, sensible_with_stages
from sense.attacks.losses import divergence
from sense.config import Config
from sense.methods import Batch, build_method

CONFIG = Config(method="sense-trades", c=0.6, eps=0.05, step_size=0.02, steps=5)


@pytest.fixture
def network():
    network = conv_network()
    network[3].p = 0.0
    return network


@pytest.fixture
def batch(network):
    x, y = images_and_labels(network, 40, 1, 8, 8)
    return Batch(x, y, torch.arange(40))


@pytest.mark.parametrize("boundary", ["revert", "noise", "bisect"])
def test_the_divergence_of_moved_images_is_at_most_log_1_over_c(network, batch, boundary):
    network.eval()
    reference = network(batch.x)
    x_adv, stages, stage_b_gap = sensible_with_stages(
        network,
        batch.x,
        batch.y,
        eps=0.05,
        step_size=0.02,
        steps=5,
        c=0.6,
        boundary=boundary,
        reference=reference,
    )
    moved = divergence(reference, network(x_adv))[stages != Stage.A].detach()
    assert (moved <= math.log(1 / 0.6) + 1e-9).all()
    reverted = stages == Stage.B
    assert reverted.any()
    reached = divergence(reference, network(x_adv)).detach()[reverted]
    torch.testing.assert_close(stage_b_gap[reverted], math.log(1 / 0.6) - reached)


def test_c_of_one_is_natural_training(network, batch):
    loss = build_method(replace(CONFIG, c=1.0))(network, batch, 0).loss
    torch.testing.assert_close(loss, F.cross_entropy(network(batch.x), batch.y))


def test_natural_weight_adds_the_natural_cross_entropy(network, batch):
    twin = copy.deepcopy(network)  # a step updates running statistics
    published = build_method(replace(CONFIG, natural_weight=0.0))(network, batch, 0).loss
    added = build_method(CONFIG)(twin, batch, 0).loss
    torch.testing.assert_close(added - published, F.cross_entropy(network(batch.x), batch.y))


def test_no_step_is_reverted_in_the_warmup(network, batch):
    method = build_method(replace(CONFIG, warmup=3))
    stages = [method(network, batch, epoch).stages for epoch in (2, 3)]
    assert not (stages[0] == Stage.B).any()
    assert (stages[1] == Stage.B).any()
