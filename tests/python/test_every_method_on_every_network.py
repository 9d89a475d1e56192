"""One step of every method on every network: a finite loss, and weights that move."""

from dataclasses import replace

import pytest
import torch

from sense.config import RECIPES, Config
from sense.methods import METHODS, Batch, build_method
from sense.models import build_model

SMALL = (
    "small-cnn",
    "capacity-1",
    "capacity-4",
    "cifar-cnn-1",
    "cifar-cnn-2",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "wrn-10-2",
    "iaat-wrn-8-1",
)
LARGE = ("resnet18", "preact-resnet18", "wrn-34-10", "wrn-28-4", "iaat-wrn-32-10")
SHAPE = (3, 32, 32)


def one_step(method, name, n=4, steps=2, mode="evaluation"):
    config = Config(
        method=method,
        model=name,
        c=0.11,
        eps=8 / 255,
        step_size=4 / 255,
        steps=steps,
        warmup=0,
        lr=0.01,
        attack_mode=mode,
    )
    model = build_model(name, SHAPE, 10).train()
    x = torch.rand(n, *SHAPE)
    with torch.no_grad():
        y = model.eval()(x).argmax(1)
        model.train()
    y[0] = (y[0] + 1) % 10
    found = build_method(config, n)(model, Batch(x, y, torch.arange(n)), 0)
    assert torch.isfinite(found.loss)
    gradients = torch.autograd.grad(found.loss, list(model.parameters()), allow_unused=True)
    assert all(gradient is not None for gradient in gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("method", METHODS)
def test_small_networks(method, name):
    one_step(method, name)


@pytest.mark.parametrize("mode", ["training", "published"])
@pytest.mark.parametrize("method", METHODS)
def test_a_network_with_batch_norm_in_every_mode_of_the_attack(method, mode):
    one_step(method, "resnet20", mode=mode)


@pytest.mark.parametrize("method", ["sense"])
def test_the_papers_wide_resnet(method):
    one_step(method, "wrn-34-10", n=2, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("method", METHODS)
def test_large_networks(method, name):
    one_step(method, name, n=2, steps=1)


@pytest.mark.parametrize("name", RECIPES)
def test_the_method_of_each_recipe_gives_a_finite_loss(name):
    config = replace(RECIPES[name], model="capacity-1")
    method = build_method(config, 3)
    model = build_model("capacity-1", (1, 28, 28), 10)
    batch = Batch(torch.rand(3, 1, 28, 28), torch.tensor([0, 1, 2]), torch.arange(3))
    assert torch.isfinite(method(model, batch, 0).loss)
