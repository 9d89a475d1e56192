import math
from dataclasses import replace

import pytest

from sense.config import Config
from sense.schedules import learning_rate

LONG = Config(lr=0.1, pretrain=2, epochs=8)


def test_constant():
    assert {learning_rate(LONG, position) for position in (0, 3.7, 9.99)} == {0.1}


@pytest.mark.parametrize(
    ("position", "factor"), [(0, 1), (4.99, 1), (5, 0.5), (6.99, 0.5), (7, 0.25), (9.9, 0.25)]
)
def test_step_counts_milestones_in_the_methods_epochs(position, factor):
    config = replace(LONG, schedule="step", milestones=(3, 5), decay=0.5)
    assert learning_rate(config, position) == pytest.approx(0.1 * factor)


@pytest.mark.parametrize(
    ("position", "factor"), [(0, 1), (5, 0.5), (10, 0), (2.5, (1 + math.sqrt(0.5)) / 2)]
)
def test_cosine(position, factor):
    config = replace(LONG, schedule="cosine")
    assert learning_rate(config, position) == pytest.approx(0.1 * factor, abs=1e-15)


@pytest.mark.parametrize(
    ("position", "factor"), [(0, 1 / 25), (1.5, (1 / 25 + 1) / 2), (3, 1), (6.5, 0.5), (10, 0)]
)
def test_one_cycle(position, factor):
    config = replace(LONG, schedule="one-cycle")
    assert learning_rate(config, position) == pytest.approx(0.1 * factor, abs=1e-15)
