"""Attacks whose passes are recorded: the images of the eager attack, to the bit, with a network
whose logits for an image do not depend on the other images of the batch."""

import math

import pytest
import torch
from torch import nn

from networks import CountRows, conv_network, images_and_labels
from recorders import recorded
from sense.attacks import Stage, pgd, sensible_with_stages
from sense.attacks.divergence import divergence_pgd
from sense.attacks.output_checks import skip_value_checks
from sense.attacks.sensible_graphs import sizes_of
from sense.graph_recorder import Watch

STEPS = 4
RADIUS = {math.inf: 0.03, 2: 0.15, 1: 0.75}  # such that all three stages occur
NORMS = pytest.mark.parametrize("norm", RADIUS)


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch):
    monkeypatch.setattr("sense.attacks.sensible_graphs.MIN_SIZE", 2)


class OneByOne(nn.Module):
    """Passes each image by itself: matrix products of other sizes round in another way."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return torch.cat([self.network(image) for image in x.split(1)])


def problem(norm, n=12):
    network = OneByOne(conv_network().float()).eval()
    x, y = images_and_labels(network.double(), n, 1, 8, 8)
    ball = {"eps": RADIUS[norm], "step_size": RADIUS[norm] / 3, "steps": STEPS, "norm": norm}
    return network.float(), x.float(), y, ball


def check_equal(found, expected):
    assert torch.equal(found.stages, expected.stages)
    assert torch.equal(found.x_adv, expected.x_adv)
    assert torch.equal(found.stage_b_gap.isnan(), expected.stage_b_gap.isnan())
    assert torch.equal(found.stage_b_gap.nan_to_num(), expected.stage_b_gap.nan_to_num())


CASES = {
    "revert": {},
    "bisect": {"boundary": "bisect", "bisections": 3},
    "no step is reverted": {"revert": False},
    "c of 0": {"c": 0.0},
    "c of 1": {"c": 1.0},
    "random start": {"random_start": True},
    "random start, bisect": {"random_start": True, "boundary": "bisect"},
    "stage A at the start": {"random_start": True, "stage_test": "start"},
    "noise": {"boundary": "noise"},
    "in training mode": {"mode": "training"},
}


@pytest.mark.parametrize("compacts", [False, True])
@pytest.mark.parametrize("case", CASES)
@NORMS
def test_the_sensible_attack_in_graphs_is_the_eager_one(norm, case, compacts):
    network, x, y, ball = problem(norm)
    options = {"c": 0.6, **CASES[case], **ball}
    graphed = recorded(network)
    graphed.graphs.compacts = compacts
    for seed in range(2):
        torch.manual_seed(seed)
        expected = sensible_with_stages(network, x, y, **options)
        torch.manual_seed(seed)
        with skip_value_checks():
            found = sensible_with_stages(graphed, x, y, **options)
        check_equal(found, expected)
        x = x.flip(0)
    eager = case in ("noise", "in training mode")
    assert (graphed.graphs.recorder.replays == 0) == eager


@pytest.mark.parametrize("compacts", [False, True])
def test_with_a_reference_it_climbs_the_divergence(compacts):
    network, x, y, ball = problem(math.inf, n=24)
    ball |= {"eps": 2 * ball["eps"], "step_size": 2 * ball["step_size"]}
    reference = network(x).detach()
    graphed = recorded(network)
    graphed.graphs.compacts = compacts
    for boundary in ("revert", "bisect"):
        options = {"c": 0.6, "reference": reference, "boundary": boundary, **ball}
        expected = sensible_with_stages(network, x, y, **options)
        assert len(expected.stages.unique()) == 3
        with skip_value_checks():
            check_equal(sensible_with_stages(graphed, x, y, **options), expected)


def test_the_published_l2_steps_are_those_of_the_eager_attack():
    network, x, y, ball = problem(2)
    options = {"c": 0.6, "l2_form": "published", "random_start": True, **ball}
    torch.manual_seed(1)
    expected = sensible_with_stages(network, x, y, **options)
    torch.manual_seed(1)
    with skip_value_checks():
        check_equal(sensible_with_stages(recorded(network), x, y, **options), expected)


@pytest.mark.parametrize("compacts", [False, True])
@pytest.mark.parametrize("boundary", ["revert", "bisect"])
def test_python_reads_no_value_in_the_attack(compacts, boundary):
    """Counts are read from the memory of the CPU, some passes later."""
    network, x, y, ball = problem(math.inf)
    graphed = recorded(network)
    graphed.graphs.compacts = compacts
    with skip_value_checks():
        options = {"c": 0.6, "boundary": boundary, "random_start": True, **ball}
        sensible_with_stages(graphed, x, y, **options)
        with Watch():
            sensible_with_stages(graphed, x, y, **options)
            pgd(graphed, x, y, **ball)


def test_one_network_serves_several_radii():
    """eps and the step size are inputs of the graphs: with --eps-ramp they change."""
    network, x, y, ball = problem(math.inf)
    graphed = recorded(network)
    for eps in (0.01, 0.02, 0.03):
        options = {"c": 0.6, **ball, "eps": eps, "step_size": eps / 4}
        with skip_value_checks():
            found = sensible_with_stages(graphed, x, y, **options)
        check_equal(found, sensible_with_stages(network, x, y, **options))
    assert graphed.graphs.recorder.records == 3  # the first pass, the next ones, the last


def test_graphs_have_few_sizes():
    assert sizes_of(128) == [128, 64, 32, 16, 8, 4, 2]
    assert sizes_of(100) == [100, 50, 25, 13, 7, 4, 2]
    assert sizes_of(3) == [3]
    assert sizes_of(1) == [1]


def test_finished_images_are_removed_some_passes_later():
    network, x, y, ball = problem(math.inf, n=32)
    rows = []
    for compacts in (False, True):
        counting = CountRows(network)
        graphed = recorded(counting)
        graphed.graphs.compacts = compacts
        with skip_value_checks():
            for _ in range(2):
                counting.rows = 0
                found = sensible_with_stages(graphed, x, y, c=0.9, **ball)
        rows.append(counting.rows)
    exact = CountRows(network)
    sensible_with_stages(exact, x, y, c=0.9, **ball)
    assert (found.stages == Stage.A).sum() >= 8
    assert rows[0] == 32 * (STEPS + 1)
    assert max(exact.rows, 2 * 32) < rows[1] < rows[0]


def test_an_attack_that_has_ended_makes_no_more_passes():
    network, x, y, ball = problem(math.inf)
    counting = CountRows(network)
    graphed = recorded(counting)
    graphed.graphs.compacts = True
    with skip_value_checks():
        for _ in range(2):
            counting.passes = 0
            sensible_with_stages(graphed, x, y, c=1.0, **ball)
    assert counting.passes == 2  # the count of the first is known after the second


@pytest.mark.parametrize("mode", ["evaluation", "training", "updating"])
@NORMS
def test_pgd_in_graphs_is_the_eager_one(norm, mode):
    network, x, y, ball = problem(norm)
    network.train()
    results = []
    for model in (network, recorded(network)):
        torch.manual_seed(3)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        with skip_value_checks():
            images = [
                pgd(model, x, y, mode=mode, **ball),
                pgd(model, x, y, mode=mode, random_start=False, **ball),
                pgd(model, x, y, mode=mode, **{**ball, "eps": torch.linspace(0, 0.02, len(x))}),
            ]
        results.append([*images, *(value.clone() for value in network.buffers())])
        network.load_state_dict(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("norm", [math.inf, 2])
def test_the_attack_of_trades_in_graphs_is_the_eager_one(norm):
    network, x, _, ball = problem(norm)
    graphed = recorded(network)
    for seed in range(2):
        results = []
        for model in (network, graphed):
            torch.manual_seed(seed)
            with skip_value_checks():
                results.append(divergence_pgd(model, x, **ball))
        assert torch.equal(*results)


def test_an_attack_that_checks_values_is_eager():
    network, x, y, ball = problem(math.inf)
    graphed = recorded(network)
    found = sensible_with_stages(graphed, x, y, c=0.6, **ball)
    check_equal(found, sensible_with_stages(network, x, y, c=0.6, **ball))
