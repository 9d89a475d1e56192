import math
from dataclasses import replace

import pytest

from sense.config import Config
from sense.schedules import attack_size, learning_rate

LONG = Config(lr=0.1, pretrain=2, epochs=8)


def test_constant_schedule():
    assert {learning_rate(LONG, epoch) for epoch in (0, 3.7, 9.99)} == {0.1}


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 1), (4.99, 1), (5, 0.5), (6.99, 0.5), (7, 0.25), (9.9, 0.25)]
)
def test_step_schedule_counts_milestones_in_epochs_of_the_method(epoch, factor):
    config = replace(LONG, schedule="step", milestones=(3, 5), lr_decay=0.5)
    assert learning_rate(config, epoch) == pytest.approx(0.1 * factor)


@pytest.mark.parametrize(
    ("milestones", "epochs", "expected"),
    [
        ((0.5, 0.75), 8, (4, 6)),
        ((0.5, 0.75), 200, (100, 150)),
        ((0.07, 0.29), 100, (7, 29)),
        ((0.01, 0.99), 10, (1, 10)),
        ((1, 0.5), 8, (1, 4)),
        ((0, 3.0), 8, (0, 3)),
    ],
)
def test_milestones_between_0_and_1_are_fractions_of_the_epochs(milestones, epochs, expected):
    config = replace(LONG, schedule="step", milestones=milestones, epochs=epochs, pretrain=2)
    in_epochs = replace(config, milestones=expected)
    times = [quarter / 4 for quarter in range(4 * (epochs + 2))]
    assert [learning_rate(config, t) for t in times] == [learning_rate(in_epochs, t) for t in times]
    assert config.resolved().to_plain()["milestones"] == list(expected)


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 1), (5, 0.5), (10, 0), (2.5, (1 + math.sqrt(0.5)) / 2)]
)
def test_cosine_schedule(epoch, factor):
    config = replace(LONG, schedule="cosine")
    assert learning_rate(config, epoch) == pytest.approx(0.1 * factor, abs=1e-15)


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 1 / 25), (1.5, (1 / 25 + 1) / 2), (3, 1), (6.5, 0.5), (10, 0)]
)
def test_one_cycle_schedule(epoch, factor):
    config = replace(LONG, schedule="one-cycle")
    assert learning_rate(config, epoch) == pytest.approx(0.1 * factor, abs=1e-15)


@pytest.mark.parametrize(
    ("epoch", "part"), [(0, 0.25), (0.5, 0.4375), (1, 0.625), (2, 1), (7.5, 1)]
)
def test_eps_and_step_size_grow_linearly(epoch, part):
    config = Config(eps=0.2, step_size=0.1, eps_start=0.05, eps_ramp=2)
    assert attack_size(config, epoch) == pytest.approx((part * 0.2, part * 0.1))


def test_the_ramp_starts_at_a_third_of_eps_by_default():
    config = Config(eps=0.3, step_size=0.1, eps_ramp=2)
    assert attack_size(config, 0) == pytest.approx((0.1, 0.1 / 3))


@pytest.mark.parametrize("change", [{"eps_ramp": 0}, {"eps": 0.0, "eps_start": None}])
def test_without_a_ramp_eps_and_step_size_are_constant(change):
    config = replace(Config(eps_start=0.05, eps_ramp=2), **change)
    assert attack_size(config, 0) == (config.eps, config.step_size)
