"""Images that are done: left out at once, at intervals or never, with the same result; and nothing
that makes Python wait for an accelerator in between."""

import math
import sys
from dataclasses import replace

import pytest
import torch
from sense.attacks.compaction import granule, survivors
from torch.utils._python_dispatch import TorchDispatchMode

from networks import CountRows, conv_network, images_and_labels
from sense.attacks import Stage, pgd, sensible_with_stages
from sense.attacks.output_checks import trusted_values
from sense.methods import Batch, build_method
from sense.models import build_model

BALL = {"eps": 0.1, "step_size": 0.03, "steps": 7}
NEVER = 100


def case(norm=math.inf, n=40):
    network = conv_network()
    x, y = images_and_labels(network, n, 1, 8, 8)
    scale = 5 if norm == 2 else 1
    ball = {**BALL, "eps": BALL["eps"] * scale, "step_size": BALL["step_size"] * scale}
    return network, x, y, {**ball, "norm": norm}


@pytest.mark.parametrize("multiple", [1, 7])
@pytest.mark.parametrize("every", [2, 3, NEVER])
@pytest.mark.parametrize("rule", ["revert", "noise", "bisect"])
@pytest.mark.parametrize("norm", [math.inf, 2])
def test_the_result_is_that_of_leaving_out_at_once(norm, rule, every, multiple, monkeypatch):
    network, x, y, ball = case(norm)
    options = {"c": 0.6, "boundary": rule, **ball}
    torch.manual_seed(1)
    expected = sensible_with_stages(network, x, y, compact_every=1, **options)
    assert set(expected.stages.tolist()) == set(Stage)
    monkeypatch.setattr(sys.modules["sense.attacks.sensible"], "granule", lambda x: multiple)
    torch.manual_seed(1)
    found = sensible_with_stages(network, x, y, compact_every=every, **options)
    assert torch.equal(found.stages, expected.stages)
    torch.testing.assert_close(found.x_adv, expected.x_adv, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.gaps, expected.gaps, rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        {"revert": False},
        {"c": 0.0},
        {"c": 1.0},
        {"random_start": True},
        {"random_start": True, "stage_test": "start"},
        {"reference": True},
    ],
)
def test_so_it_is_with_every_other_option(change):
    network, x, y, ball = case()
    if "reference" in change:
        change = {"reference": network(x).detach()}
    options = {"c": 0.6, **ball, **change}
    results = []
    for every in (1, 3, NEVER):
        torch.manual_seed(1)
        results.append(sensible_with_stages(network, x, y, compact_every=every, **options))
    for found in results[1:]:
        assert torch.equal(found.stages, results[0].stages)
        torch.testing.assert_close(found.x_adv, results[0].x_adv, rtol=0, atol=1e-10)


def test_batches_shrink_at_intervals_and_never_otherwise():
    network, x, y, ball = case()
    rows = {}
    for every in (1, 2, NEVER):
        counter = CountRows(network)
        sensible_with_stages(counter, x, y, c=0.6, compact_every=every, **ball)
        rows[every] = counter.rows
    assert rows[1] < rows[2] < rows[NEVER] == len(x) * (BALL["steps"] + 1)


@pytest.mark.parametrize("method", ["sense", "sense-trades"])
def test_the_option_reaches_the_attack(method, tiny, few):
    torch.manual_seed(0)
    batch = Batch(few.train_x[:40].float() / 255, few.train_y[:40], torch.arange(40))
    passes = {}
    for every, change in (
        ("default", {}),
        (1, {"compact_every": 1}),
        (NEVER, {"compact_every": NEVER}),
    ):
        counter = CountRows(build_model("capacity-1", (1, 28, 28), 10))
        config = replace(tiny, method=method, **change)
        build_method(config)(counter, batch, 0)
        passes[every] = counter.rows
    assert passes["default"] == passes[1] < passes[NEVER]


class Waits(TorchDispatchMode):
    """Counts operations whose result's size or value Python has to know: on an accelerator it then
    waits until all that it gave the device so far is done."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        masked = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in arguments[1]
        )
        if masked or name in (
            "_local_scalar_dense",
            "nonzero",
            "masked_select",
            "equal",
            "is_nonzero",
            "unique_dim",
            "_unique2",
        ):
            self.seen.append(name)
        return function(*arguments, **(options or {}))


def waits(attack):
    with Waits() as counter, trusted_values():
        attack()
    return len(counter.seen)


@pytest.mark.parametrize("norm", [math.inf, 2, 1])
def test_pgd_and_the_sensible_attack_make_python_wait_for_nothing(norm):
    network, x, y, ball = case(norm)
    assert waits(lambda: pgd(network, x, y, **ball)) == 0
    for change in ({}, {"revert": False}, {"random_start": True}):
        options = {"c": 0.6, "compact_every": NEVER, **ball, **change}
        assert waits(lambda options=options: sensible_with_stages(network, x, y, **options)) == 0


def test_each_compaction_waits_once_and_the_other_boundary_rules_once_or_twice_at_the_end():
    network, x, y, ball = case()
    count = {
        (rule, every): waits(
            lambda rule=rule, every=every: sensible_with_stages(
                network, x, y, c=0.6, boundary=rule, compact_every=every, **ball
            )
        )
        for rule in ("revert", "bisect", "noise")
        for every in (3, NEVER)
    }
    assert count == {
        ("revert", 3): 2,
        ("revert", NEVER): 0,
        ("bisect", 3): 3,
        ("bisect", NEVER): 1,
        ("noise", 3): 4,
        ("noise", NEVER): 2,
    }


def test_the_counter_sees_what_waits():
    x = torch.rand(4)
    for wait in (
        lambda: x[x > 0],
        lambda: (x > 0).any().item(),
        lambda: x.nonzero(),
        lambda: bool(x.sum() > 0),
        lambda: x.masked_select(x > 0),
    ):
        assert waits(wait) >= 1
    assert waits(lambda: x[torch.tensor([0, 1])] + x.sum()) == 0


@pytest.mark.parametrize(
    ("multiple", "expected"), [(1, [1, 4, 6]), (4, [1, 4, 6, 0]), (5, 5), (9, 7)]
)
def test_survivors_come_first_in_their_order(multiple, expected):
    alive = torch.tensor([0, 1, 0, 0, 1, 0, 1]).bool()
    found = survivors(alive, multiple).tolist()
    assert found[:3] == [1, 4, 6]
    assert found == expected if isinstance(expected, list) else len(found) == expected
    assert survivors(~alive & alive, multiple).tolist() == []


def test_each_device_has_its_sizes():
    assert granule(torch.empty(100, 1)) == 1
    assert granule(torch.empty(100, 1, device="meta")) == 13
    assert granule(torch.empty(3, 1, device="meta")) == 1


def test_an_interval_below_one_is_refused():
    network, x, y, ball = case()
    with pytest.raises(ValueError, match="compact_every must be a whole number >= 1, got 0"):
        sensible_with_stages(network, x, y, c=0.6, compact_every=0, **ball)
