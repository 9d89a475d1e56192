import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import reference
from networks import conv_network, images_and_labels
from sense.attacks import Stage, sensible_with_stages
from sense.config import Config
from sense.methods import METHODS, Batch, build_method

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
    """The result of a method on a copy of the network, with the dropout of seed 1: these attacks
    draw no random numbers."""
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
def test_losses_follow_the_equations(network, batch, norm):
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


def test_the_adversarial_images_are_constants_in_the_gradient(network, batch):
    """Line 9 of Algorithm 1."""
    x_adv = reference.sensible(network, batch.x, batch.y, c=SENSE.c, **ball(SENSE)).x_adv
    parameters = list(network.parameters())
    torch.manual_seed(1)
    found = torch.autograd.grad(build_method(SENSE)(network, batch, 0).loss, parameters)
    expected = torch.autograd.grad(literal_loss(network, x_adv, batch.y), parameters)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_only_sense_reports_stages(network, batch):
    assert set(step(SENSE, network, batch).stages.tolist()) == set(Stage)
    assert step(R_AT, network, batch).stages is None
    assert step(NT, network, batch).stages is None


def test_sense_with_c_of_one_is_natural_training(network, batch):
    sense = step(replace(SENSE, c=1.0), network, batch)
    assert torch.equal(sense.loss, step(NT, network, batch).loss)


def test_sense_with_c_of_zero_is_regular_training_on_correct_images(network, batch):
    correct = network.eval()(batch.x).argmax(1) == batch.y
    network.train()
    batch = Batch(*(part[correct] for part in batch))
    sense = step(replace(SENSE, c=0.0), network, batch)
    torch.testing.assert_close(sense.loss, step(R_AT, network, batch).loss)
    assert 0 < len(batch.x) < 32


def test_eps_of_zero_is_natural_training(network, batch):
    network[3].p = 0.0  # a random start would change its masks
    natural = step(NT, network, batch).loss
    configs = [replace(SENSE, method=method) for method in ("fgsm-rs", "n-fgsm")]
    for config in (SENSE, R_AT, *configs):
        assert torch.equal(step(replace(config, eps=0.0), network, batch).loss, natural)


def test_no_step_is_reverted_in_the_warmup(network, batch):
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
def test_default_starts_of_the_attacks(network, batch, method, option, starts_in_the_ball):
    network[3].p = 0.0  # then only a random start draws random numbers
    before = torch.get_rng_state()
    build_method(replace(SENSE, method=method, random_start=option))(network, batch, 0)
    assert torch.equal(before, torch.get_rng_state()) != starts_in_the_ball


def test_all_options_of_sense_reach_the_attack(network, batch):
    network[3].p = 0.0
    config = replace(
        SENSE,
        norm="2",
        eps=0.3,
        step_size=0.1,
        stage_test="start",
        random_start=True,
        boundary="bisect",
        bisections=2,
        l2_form="published",
        attack_mode="training",
    )
    torch.manual_seed(1)
    x_adv, stages, _ = sensible_with_stages(
        network,
        batch.x,
        batch.y,
        c=0.6,
        stage_test="start",
        random_start=True,
        boundary="bisect",
        bisections=2,
        l2_form="published",
        mode="training",
        **ball(config),
    )
    found = step(config, network, batch)
    assert torch.equal(found.stages, stages)
    assert torch.equal(found.loss, F.cross_entropy(copy.deepcopy(network)(x_adv), batch.y))


RAMP = replace(SENSE, c=0.1, eps=0.2, step_size=0.1, steps=3, eps_start=0.05, eps_ramp=2)


def gradient(config, network, batch, epoch):
    """The gradient of the loss in all weights, with the random starts and the dropout of seed 1."""
    model = copy.deepcopy(network)
    torch.manual_seed(1)
    build_method(config)(model, batch, epoch).loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize(
    "method", ["sense", "r-at", "trades", "mart", "sense-trades", "fgsm-rs", "n-fgsm"]
)
def test_during_the_ramp_a_method_attacks_with_the_radius_of_the_time(method, network, batch):
    ramp = replace(RAMP, method=method)
    halfway = replace(ramp, eps=0.125, step_size=0.0625, eps_ramp=0, eps_start=None)
    full = replace(ramp, eps_ramp=0)
    found = [gradient(ramp, network, batch, epoch) for epoch in (1.0, 2.0)]
    torch.testing.assert_close(found[0], gradient(halfway, network, batch, 1.0))
    torch.testing.assert_close(found[1], gradient(full, network, batch, 2.0))
    assert not torch.allclose(*found)


def test_a_ramp_to_a_radius_of_zero_is_natural_training(network, batch):
    zero = replace(RAMP, eps=0.0, eps_start=None)
    natural = replace(RAMP, method="nt")
    torch.testing.assert_close(
        gradient(zero, network, batch, 0.0), gradient(natural, network, batch, 0.0)
    )


def test_only_methods_with_a_state_per_image_have_a_state():
    stateful = {name for name in METHODS if build_method(Config(method=name), 3).state_dict()}
    assert stateful == {"mma", "iaat", "free"}


def test_natural_training_is_cross_entropy(network, batch):
    torch.manual_seed(1)
    expected = F.cross_entropy(network(batch.x), batch.y)
    torch.testing.assert_close(step(NT, network, batch).loss, expected)
