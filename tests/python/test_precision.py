"""Training in bfloat16: attacks and runs are those of float32 but for rounding."""

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sense.attacks import Stage, pgd, sensible_with_stages
from sense.checkpoint import load_weights
from sense.models import build_model
from sense.precision import MixedPrecision, prepare
from sense.runs import METRICS, load
from sense.train import fit

BALL = {"eps": 0.2, "step_size": 0.05, "steps": 4}


@pytest.fixture(scope="module")
def trained(few):
    """A network that is sure of most of the images that it was trained on."""
    torch.manual_seed(0)
    model = build_model("capacity-2", (1, 28, 28), 10)
    x, y = few.train_x.float() / 255, few.train_y
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), x[:100], y[:100]


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_without_half_precision_the_network_is_called_itself(precision):
    model = build_model("capacity-1", (1, 28, 28), 10)
    assert prepare(model, precision) is model


def test_weights_and_logits_stay_float32():
    model = build_model("capacity-1", (1, 28, 28), 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits = MixedPrecision(model)(torch.rand(3, 1, 28, 28))
    assert logits.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_passes_are_in_bfloat16():
    seen = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    MixedPrecision(model)(torch.rand(2, 1, 2, 2))
    assert seen == [torch.bfloat16]


def test_attack_gradients_are_those_of_float32_but_for_rounding(trained):
    model, x, y = trained
    gradients = []
    for network in (model, MixedPrecision(model)):
        z = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(z), y, reduction="sum"), z)
        assert gradient.dtype == torch.float32
        gradients.append(gradient.flatten(1))
    assert (F.cosine_similarity(*gradients) > 0.99).float().mean() > 0.95


@pytest.mark.parametrize("boundary", ["revert", "bisect"])
def test_moved_images_keep_c_in_float32_within_rounding(trained, boundary):
    """The tolerance that the documentation states: log p_y is wrong by at most 0.05, for logits up
    to about 16."""
    model, x, y = trained
    c = 0.6
    called = MixedPrecision(model)
    x_adv, stages, _ = sensible_with_stages(called, x, y, c=c, boundary=boundary, **BALL)
    moved = stages != Stage.A
    assert (stages == Stage.B).sum() > 10
    with torch.no_grad():
        losses = F.cross_entropy(model(x_adv), y, reduction="none")[moved]
    assert losses.max() <= math.log(1 / c) + 0.05


def test_pgd_is_as_strong(trained):
    model, x, y = trained
    losses = []
    for network in (model, MixedPrecision(model)):
        x_adv = pgd(network, x, y, random_start=False, **BALL)
        with torch.no_grad():
            losses.append(float(F.cross_entropy(model(x_adv), y)))
    with torch.no_grad():
        natural = float(F.cross_entropy(model(x), y))
    assert losses[0] > 3 * natural
    assert losses[1] > natural + 0.95 * (losses[0] - natural)


@pytest.mark.parametrize("method", ["r-at", "sense", "sense-trades"])
def test_a_bfloat16_run_has_float32_weights_and_a_similar_accuracy(tmp_path, few, tiny, method):
    config = replace(tiny, method=method)
    half, plain = tmp_path / "bfloat16", tmp_path / "float32"
    model = fit(replace(config, precision="bfloat16"), half, data=few)
    fit(config, plain, data=few)
    weights, expected = load_weights(half), load_weights(plain)
    assert {n: v.shape for n, v in weights.items()} == {n: v.shape for n, v in expected.items()}
    assert all(value.dtype == torch.float32 for value in weights.values())
    x = few.test_x[:5].float() / 255
    torch.testing.assert_close(load(half)(x), model(x))
    correct, of_float32 = (
        json.loads((run / METRICS).read_text().splitlines()[-1])["natural_correct"]
        for run in (half, plain)
    )
    assert correct >= of_float32 - 8  # of 32; chance is 3
