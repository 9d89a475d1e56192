import builtins
import logging
import math
import sys

import pytest
import torch
from torch import nn

from networks import conv_network, images_and_labels
from sense.attacks import autoattack, square
from sense.attacks.adapter import (
    UnitRange,
    UnitRangeModel,
    import_pyautoattack,
    preserved_state,
)

BOUNDS = (-1.5, 2.0)


@pytest.mark.parametrize("attack", [autoattack, square])
def test_a_missing_package_is_named_with_what_to_install(attack, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    monkeypatch.delitem(sys.modules, "pyautoattack.square", raising=False)
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 2, 1, 8, 8)
    with pytest.raises(ImportError, match=r"not installed: pip install 'sense-at\[attacks\]'") as e:
        attack(network, x, y, eps=0.1)
    assert "\n" not in str(e.value)


def test_an_import_error_inside_the_package_is_not_hidden(monkeypatch):
    real = builtins.__import__

    def broken(name, *rest):
        if name == "numpy":
            raise ModuleNotFoundError("No module named 'numpy'", name="numpy")
        return real(name, *rest)

    pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    for name in [name for name in sys.modules if name.startswith("pyautoattack")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ModuleNotFoundError, match="No module named 'numpy'"):
        import_pyautoattack()


def test_images_are_scaled_to_the_unit_interval_and_back():
    x = torch.tensor([[[[-1.5, 2.0, 0.25]]]], dtype=torch.float64)
    unit = UnitRange(x, 0.1, math.inf, BOUNDS)
    u = unit.to_unit(x)
    assert u.dtype == torch.float32
    assert u.flatten().tolist() == [0, 1, 0.5]
    assert torch.equal(unit.from_unit(u.double()), x)


@pytest.mark.parametrize(("norm", "shape"), [(math.inf, (1, 1, 8)), (2.0, (1, 5, 5))])
def test_rows_of_features_become_images_with_room_for_the_ball(norm, shape):
    x = torch.tensor([[0.0, 5, 1, 1, 1, 1, 1], [10, -5, 1, 2, 1, 1, 1]])
    unit = UnitRange(x, 0.5, norm, (-math.inf, math.inf))
    u = unit.to_unit(x)
    assert u.shape[1:] == shape
    torch.testing.assert_close(unit.from_unit(u), x)
    assert unit.width == 12  # the widest range and twice eps on both sides
    assert u.flatten(1)[:, :7].min() >= 1 / 12 - 1e-6
    moved = unit.to_unit(x + 0.5)
    torch.testing.assert_close((moved - u).flatten(1)[:, :7], torch.full((2, 7), 0.5 / 12))


def test_values_outside_their_own_bounds_are_clipped_and_keep_their_gradient():
    bounds = (torch.tensor([0.0, -1.0]), torch.tensor([1.0, 1.0]))
    unit = UnitRange(torch.tensor([[0.9, 0.0]]), 0.5, math.inf, bounds)
    model = UnitRangeModel(nn.Linear(2, 2), unit)
    outside = torch.tensor([[1.4, 0.0]])
    u = unit.to_unit(outside).requires_grad_()
    torch.testing.assert_close(model(u), model.model(torch.tensor([[1.0, 0.0]])))
    (gradient,) = torch.autograd.grad(model(u)[0, 0], u)
    assert gradient.flatten()[0] == pytest.approx(unit.width * model.model.weight[0, 0].item())


def test_the_model_of_scaled_images_has_the_same_logits_and_contiguous_gradients():
    network = conv_network(classes=5, channels=3).eval()
    network = network.to(memory_format=torch.channels_last)
    x = (BOUNDS[0] + 3.5 * torch.rand(4, 3, 8, 8)).double()
    unit = UnitRange(x, 0.1, math.inf, BOUNDS)
    u = unit.to_unit(x).to(memory_format=torch.channels_last).requires_grad_()
    logits = UnitRangeModel(network, unit)(u.contiguous())
    torch.testing.assert_close(logits, network(x).float(), rtol=1e-4, atol=1e-4)
    u = unit.to_unit(x).requires_grad_()
    (gradient,) = torch.autograd.grad(UnitRangeModel(network, unit)(u).sum(), u)
    z = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(z).sum(), z)
    assert gradient.is_contiguous()
    assert not expected.is_contiguous()  # what the package would have had to do with
    torch.testing.assert_close(gradient.double(), 3.5 * expected, rtol=1e-3, atol=1e-3)


def test_rounded_images_are_projected_and_others_are_unchanged():
    x = torch.full((1, 1, 2, 2), 0.3, dtype=torch.float64)
    u = (x + 0.1 + 1e-8).float()
    unit = UnitRange(x, 0.1, 2.0, (0, 1))
    assert (unit.restore(u, x, 0.1, 2.0) - x).norm() <= 0.1 + 1e-15
    assert unit.restore(u, x.float(), 0.1, 2.0) is u


def test_generators_log_tracer_and_gradients_are_restored():
    network = conv_network()
    log = logging.getLogger("auto-attack")
    network[0].weight.requires_grad_(False)
    before, tracer = torch.get_rng_state(), sys.gettrace()
    handlers = list(log.handlers)

    def stop():
        with preserved_state(network) as warnings:
            assert not network.training
            assert not any(p.requires_grad for p in network.parameters())
            torch.manual_seed(99)
            sys.settrace(lambda *_: None)
            for text in ("twice", "twice", "once"):
                log.warning(text)
            log.debug("nothing")
            assert warnings == ["twice", "once"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert network.training
    assert [k for k, p in network.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert torch.equal(torch.get_rng_state(), before)
    assert sys.gettrace() is tracer
    assert (log.handlers, log.propagate) == (handlers, True)
