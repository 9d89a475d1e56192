"""Passes in half precision and by compiled code: what comes of it is a run like any other."""

import json
import math
import shutil
import warnings
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sense.attacks import Stage, pgd, sensible_with_stages
from sense.checkpoint import load_checkpoint, load_weights
from sense.models import build_model
from sense.precision import GRADIENT_SCALE, Computed, Descent, prepare
from sense.runs import METRICS, load_model
from sense.train import TrainingStopped, fit

HALF = pytest.mark.parametrize("precision", ["bfloat16", "float16"])
BALL = {"eps": 0.2, "step_size": 0.05, "steps": 4}


@pytest.fixture(scope="module")
def trained(few):
    """Sure of most of the images that it has seen."""
    torch.manual_seed(0)
    model = build_model("capacity-2", (1, 28, 28), 10)
    x, y = few.train_x.float() / 255, few.train_y
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), x[:100], y[:100]


def test_plain_passes_are_the_networks_own():
    model = build_model("capacity-1", (1, 28, 28), 10)
    assert prepare(model, "float32", "none") is model
    assert prepare(model, "tf32", "none") is model  # set for the whole process, see devices


@HALF
def test_the_network_itself_stays_as_it_is(precision):
    model = build_model("capacity-1", (1, 28, 28), 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    called = prepare(model, precision, "none").eval()
    assert not model.training
    logits = called(torch.rand(3, 1, 28, 28))
    assert logits.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.dtype == torch.float32 for p in model.parameters())


@HALF
def test_passes_are_in_half_precision(precision):
    seen = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    prepare(model, precision, "none")(torch.rand(2, 1, 2, 2))
    assert seen == [getattr(torch, precision)]


@HALF
def test_attack_gradients_are_those_of_float32_but_for_rounding(trained, precision):
    model, x, y = trained
    called = Computed(model, precision, "none")
    gradients = []
    for network in (model, called):
        z = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(z), y, reduction="sum"), z)
        assert gradient.dtype == torch.float32
        gradients.append(gradient.flatten(1))
    assert (F.cosine_similarity(*gradients) > 0.99).float().mean() > 0.95


def test_in_float16_small_gradients_of_an_attack_are_not_lost():
    """One of 1e-6 at the logits, times a weight of 0.01, is below float16's smallest number."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 1, bias=False))
    nn.init.constant_(model[1].weight, 0.01)
    x = torch.ones(1, 1, 1, 1, requires_grad=True)
    assert torch.tensor(1e-8).half() == 0 < torch.tensor(GRADIENT_SCALE * 1e-8).half()
    (gradient,) = torch.autograd.grad(1e-6 * Computed(model, "float16", "none")(x).sum(), x)
    torch.testing.assert_close(gradient.flatten(), torch.tensor([1e-8]), rtol=0.05, atol=0)


@HALF
@pytest.mark.parametrize("boundary", ["revert", "bisect"])
def test_moved_images_keep_c_in_float32_within_rounding(trained, precision, boundary):
    """The slack that the README states: log p_y is wrong by at most 0.05 in bfloat16, 0.01 in
    float16, for logits up to 16 or so."""
    model, x, y = trained
    c = 0.6
    called = Computed(model, precision, "none")
    x_adv, stages, _ = sensible_with_stages(called, x, y, c=c, boundary=boundary, **BALL)
    moved = stages != Stage.A
    assert (stages == Stage.B).sum() > 10
    with torch.no_grad():
        losses = F.cross_entropy(model(x_adv), y, reduction="none")[moved]
    slack = {"bfloat16": 0.05, "float16": 0.01}[precision]
    assert losses.max() <= math.log(1 / c) + slack


@HALF
def test_pgd_is_as_strong(trained, precision):
    model, x, y = trained
    losses = []
    for network in (model, Computed(model, precision, "none")):
        x_adv = pgd(network, x, y, random_start=False, **BALL)
        with torch.no_grad():
            losses.append(float(F.cross_entropy(model(x_adv), y)))
    with torch.no_grad():
        natural = float(F.cross_entropy(model(x), y))
    assert losses[0] > 3 * natural
    assert losses[1] > natural + 0.95 * (losses[0] - natural)


@pytest.mark.parametrize(
    ("precision", "method"),
    [("bfloat16", "sense"), ("float16", "r-at"), ("bfloat16", "sense-trades")],
)
def test_trains_and_leaves_a_run_like_any_other(tmp_path, few, tiny, precision, method):
    config = replace(tiny, method=method)
    half, plain = tmp_path / precision, tmp_path / "float32"
    model = fit(replace(config, precision=precision), half, data=few)
    fit(config, plain, data=few)
    weights, expected = load_weights(half), load_weights(plain)
    assert {n: v.shape for n, v in weights.items()} == {n: v.shape for n, v in expected.items()}
    assert all(value.dtype == torch.float32 for value in weights.values())
    x = few.test_x[:5].float() / 255
    torch.testing.assert_close(load_model(half)(x), model(x))
    right, wanted = (
        json.loads((run / METRICS).read_text().splitlines()[-1])["natural_correct"]
        for run in (half, plain)
    )
    assert right >= wanted - 8  # of 32; chance is 3


def test_a_float16_run_goes_on_bit_for_bit_with_its_scale(tmp_path, few, tiny):
    config = replace(tiny, precision="float16", epochs=1)
    whole = fit(config, tmp_path / "whole", data=few)
    calls = iter(range(100))
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "part", data=few, stop=lambda: 15 if next(calls) == 8 else None)
    assert load_checkpoint(tmp_path / "part")["scaler"]["scale"] > 1
    resumed = fit(config, tmp_path / "part", data=few, resume=True)
    for mine, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_step_down_is_the_optimizers(precision):
    """In float16 the loss is scaled up and the gradients down again, both by a power of 2; a
    gradient that is infinite makes no step."""
    weights = []
    for descent_by in ("plain", precision):
        w = nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer = torch.optim.SGD([w], lr=0.1)
        if descent_by == "plain":
            (w**2).sum().backward()
            optimizer.step()
        else:
            descent = Descent(optimizer, precision, torch.device("cpu"))
            descent.backward((w**2).sum())
            descent.step()
        weights.append(w.detach().clone())
    assert torch.equal(*weights)
    if precision == "float16":
        descent.backward((w * math.inf).sum())
        descent.step()
        assert torch.equal(w, weights[1])


compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a processor"
)


@compiler
@pytest.mark.slow
def test_compiled_passes_train_the_same_network(tmp_path, few, tiny):
    """With the same names, and weights that differ by rounding."""
    config = replace(tiny, model="capacity-1", pretrain=1, epochs=1, compact_every=100)
    plain = fit(config, tmp_path / "plain", data=few)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler itself
        fit(replace(config, compile="default"), tmp_path / "compiled", data=few)
    found, expected = load_weights(tmp_path / "compiled"), plain.state_dict()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-3)
