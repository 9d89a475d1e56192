"""The three boundary rules of the sensible adversary."""

import math

import pytest
import torch
import torch.nn.functional as F

from networks import CountRows, conv_network, images_and_labels, linear_network
from sense.attacks import Stage, sensible_with_stages
from sense.attacks.checks import check_adversarial
from sense.attacks.geometry import per_image_norm

RULES = ("revert", "noise", "bisect")
BALL = {"eps": 0.1, "step_size": 0.03, "steps": 7}


def case(norm):
    network = conv_network()
    x, y = images_and_labels(network, 60, 1, 8, 8)
    scale = 5 if norm == 2 else 1
    ball = {**BALL, "eps": BALL["eps"] * scale, "step_size": BALL["step_size"] * scale}
    return network, x, y, {**ball, "norm": norm}


def losses(network, x, y):
    network.eval()
    with torch.no_grad():
        return F.cross_entropy(network(x), y, reduction="none")


@pytest.mark.parametrize("norm", [math.inf, 2])
@pytest.mark.parametrize("c", [0.5, 0.7])
@pytest.mark.parametrize("rule", RULES)
def test_no_moved_image_passes_log_1_over_c(rule, c, norm):
    network, x, y, ball = case(norm)
    x_adv, stages, gaps = sensible_with_stages(network, x, y, c=c, boundary=rule, **ball)
    check_adversarial(x_adv, x, eps=ball["eps"], norm=norm)
    at_end = losses(network, x_adv, y)
    moved = stages != Stage.A
    turned = stages == Stage.B
    assert turned.sum() > 5
    assert (at_end[moved] <= math.log(1 / c) + 1e-9).all()
    assert torch.equal(x_adv[~moved], x[~moved])
    torch.testing.assert_close(gaps[turned], math.log(1 / c) - at_end[turned])
    assert torch.equal(gaps.isnan(), ~turned)


@pytest.mark.parametrize("norm", [math.inf, 2])
def test_stages_are_the_same_and_each_rule_ends_nearer(norm):
    network, x, y, ball = case(norm)
    results = {
        rule: sensible_with_stages(network, x, y, c=0.6, boundary=rule, **ball) for rule in RULES
    }
    revert = results["revert"]
    turned = revert.stages == Stage.B
    for rule in ("noise", "bisect"):
        found = results[rule]
        assert torch.equal(found.stages, revert.stages)
        assert torch.equal(found.x_adv[~turned], revert.x_adv[~turned])
        assert (found.gaps[turned] <= revert.gaps[turned] + 1e-12).all()
        assert found.gaps.nanmean() < 0.8 * revert.gaps.nanmean()


@pytest.mark.parametrize("norm", [math.inf, 2])
@pytest.mark.parametrize("c", [0.5, 0.7])
def test_bisect_ends_at_p_y_equal_to_c(c, norm):
    """Eq. (13), to the width that 20 halvings of a step leave."""
    network, x, y, ball = case(norm)
    x_adv, stages, _ = sensible_with_stages(
        network, x, y, c=c, boundary="bisect", bisections=20, **ball
    )
    turned = stages == Stage.B
    p = torch.exp(-losses(network, x_adv[turned], y[turned]))
    torch.testing.assert_close(p, torch.full_like(p, c), rtol=0, atol=1e-4)


def test_bisect_is_exact_on_a_linear_network():
    """Logits 0 and w'x: p_y = c where w'x = log((1 - c) / c) for y = 0."""
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    network = linear_network(w)
    x = torch.tensor([[0.2, 0.8, 0.3]], dtype=torch.float64)
    c = 0.7
    x_adv, stages, _ = sensible_with_stages(
        network,
        x,
        torch.tensor([0]),
        eps=0.5,
        step_size=0.1,
        steps=9,
        c=c,
        boundary="bisect",
        bisections=40,
    )
    assert stages.item() == Stage.B
    assert (x_adv @ w).item() == pytest.approx(math.log((1 - c) / c), abs=1e-9)


def test_bisections_are_forward_passes_of_what_was_turned_back():
    network, x, y, ball = case(math.inf)
    counts = {}
    for bisections in (0, 5):
        counter = CountRows(network)
        _, stages, _ = sensible_with_stages(
            counter, x, y, c=0.6, boundary="bisect", bisections=bisections, **ball
        )
        counts[bisections] = counter.rows, counter.passes
    turned = int((stages == Stage.B).sum())
    assert counts[5][0] - counts[0][0] == 5 * turned
    assert counts[5][1] - counts[0][1] == 5


def test_no_bisection_is_reverting():
    network, x, y, ball = case(math.inf)
    a = sensible_with_stages(network, x, y, c=0.6, boundary="bisect", bisections=0, **ball)
    b = sensible_with_stages(network, x, y, c=0.6, **ball)
    assert torch.equal(a.x_adv, b.x_adv)


def test_noise_draws_and_stays_within_a_step_of_the_ball():
    network, x, y, ball = case(math.inf)
    torch.manual_seed(1)
    a = sensible_with_stages(network, x, y, c=0.6, boundary="noise", **ball)
    torch.manual_seed(2)
    b = sensible_with_stages(network, x, y, c=0.6, boundary="noise", **ball)
    assert not torch.equal(a.x_adv, b.x_adv)
    assert per_image_norm(a.x_adv - x, math.inf).max() <= ball["eps"] + 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_warm_up_turns_nothing_back(rule):
    network, x, y, ball = case(math.inf)
    found = sensible_with_stages(network, x, y, c=0.6, revert=False, boundary=rule, **ball)
    assert not (found.stages == Stage.B).any()
    assert found.gaps.isnan().all()


@pytest.mark.parametrize("rule", RULES)
def test_the_network_is_left_as_it_was(rule):
    network, x, y, ball = case(math.inf)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sensible_with_stages(network, x, y, c=0.6, boundary=rule, **ball)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(module.training for module in network.modules())
