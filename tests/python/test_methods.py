import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import reference
from networks import conv_network, images_and_labels
from sense.attacks import Stage
from sense.config import Config
from sense.methods import Batch, build_method

SENSE = Config(method="sense", c=0.6, eps=0.03, step_size=0.01, steps=4)
R_AT = replace(SENSE, method="r-at", random_start=False)
NT = replace(SENSE, method="nt")


@pytest.fixture
def network():
    return conv_network()


@pytest.fixture
def batch(network):
    x, y = images_and_labels(network, 32, 1, 8, 8)
    return Batch(x, y, torch.arange(32))


def step(config, network, batch, epoch=0):
    """A method's step on a copy, with the dropout of seed 1: these attacks draw nothing."""
    torch.manual_seed(1)
    return build_method(config)(copy.deepcopy(network), batch, epoch)


def literal_loss(network, x_adv, y):
    """-sum log p_y / m in training mode, with the same dropout."""
    torch.manual_seed(1)
    p = network(x_adv).softmax(1)
    return -torch.log(p[torch.arange(len(y)), y]).sum() / len(y)


def ball(config):
    return {
        "eps": config.eps,
        "step_size": config.step_size,
        "steps": config.steps,
        "norm": config.lp,
    }


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_losses_are_the_formulas(network, batch, norm):
    x, y, _ = batch
    nt, r_at, sense = (replace(config, norm=norm) for config in (NT, R_AT, SENSE))
    images = {
        nt: x,
        r_at: reference.pgd(network, x, y, **ball(r_at)),
        sense: reference.sensible(network, x, y, c=sense.c, **ball(sense)).x_adv,
    }
    losses = []
    for config, x_adv in images.items():
        loss = step(config, network, batch).loss
        torch.testing.assert_close(loss, literal_loss(copy.deepcopy(network), x_adv, y))
        losses.append(loss)
    assert losses[0] < losses[2] < losses[1]


def test_the_loss_has_the_gradient_of_the_images_reached(network, batch):
    """Line 9: the images are constants for theta."""
    x_adv = reference.sensible(network, batch.x, batch.y, c=SENSE.c, **ball(SENSE)).x_adv
    parameters = list(network.parameters())
    torch.manual_seed(1)
    found = torch.autograd.grad(build_method(SENSE)(network, batch, 0).loss, parameters)
    expected = torch.autograd.grad(literal_loss(network, x_adv, batch.y), parameters)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_stages_are_reported_by_sense_alone(network, batch):
    assert set(step(SENSE, network, batch).stages.tolist()) == set(Stage)
    assert step(R_AT, network, batch).stages is None
    assert step(NT, network, batch).stages is None


def test_sense_with_c_of_one_is_natural_training(network, batch):
    sense = step(replace(SENSE, c=1.0), network, batch)
    assert torch.equal(sense.loss, step(NT, network, batch).loss)


def test_sense_with_c_of_zero_is_regular_training_on_what_is_right(network, batch):
    right = network.eval()(batch.x).argmax(1) == batch.y
    network.train()
    batch = Batch(*(part[right] for part in batch))
    sense = step(replace(SENSE, c=0.0), network, batch)
    torch.testing.assert_close(sense.loss, step(R_AT, network, batch).loss)
    assert 0 < len(batch.x) < 32


def test_eps_of_zero_is_natural_training(network, batch):
    natural = step(NT, network, batch).loss
    for config in (SENSE, R_AT):
        assert torch.equal(step(replace(config, eps=0.0), network, batch).loss, natural)


def test_warmup_takes_no_step_back(network, batch):
    config = replace(SENSE, warmup=2)
    stages = [step(config, network, batch, epoch).stages for epoch in range(4)]
    assert Stage.B not in stages[1]
    assert torch.equal(stages[0], stages[1])
    assert Stage.B in stages[2]
    assert torch.equal(stages[2], stages[3])
    full = reference.sensible(network, batch.x, batch.y, c=0.6, revert=False, **ball(SENSE))
    loss = step(config, network, batch, epoch=1).loss
    torch.testing.assert_close(loss, literal_loss(network, full.x_adv, batch.y))


@pytest.mark.parametrize(
    ("method", "option", "starts_in_the_ball"),
    [("r-at", None, True), ("r-at", False, False), ("sense", None, False), ("sense", True, True)],
)
def test_where_an_attack_starts_unless_told(network, batch, method, option, starts_in_the_ball):
    attack = build_method(replace(SENSE, method=method, random_start=option)).attack
    before = torch.get_rng_state()
    attack(network, batch.x, batch.y)
    assert torch.equal(before, torch.get_rng_state()) != starts_in_the_ball


def test_options_reach_the_attack():
    attack = build_method(replace(SENSE, norm="2", stage_test="start", random_start=True)).attack
    assert attack.keywords == {
        "c": 0.6,
        "eps": 0.03,
        "step_size": 0.01,
        "steps": 4,
        "norm": 2.0,
        "random_start": True,
        "stage_test": "start",
        "boundary": "revert",
        "bisections": 8,
        "mode": "evaluation",
        "l2_form": "paper",
    }
    assert build_method(replace(R_AT, norm="inf")).attack.keywords["norm"] == math.inf


def test_natural_training_is_cross_entropy(network, batch):
    torch.manual_seed(1)
    expected = F.cross_entropy(network(batch.x), batch.y)
    torch.testing.assert_close(step(NT, network, batch).loss, expected)
