import builtins
import logging
import sys

import pytest
import torch

from networks import conv_network, images_and_labels
from sense.attacks import autoattack, square
from sense.attacks.adapter import (
    UnitRangeModel,
    from_unit_range,
    import_pyautoattack,
    preserved_state,
    to_image_range,
    to_unit_range,
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
    u = to_unit_range(x, BOUNDS)
    assert u.dtype == torch.float32
    assert u.flatten().tolist() == [0, 1, 0.5]
    assert torch.equal(from_unit_range(u.double(), BOUNDS), x)


def test_the_model_of_scaled_images_has_the_same_logits_and_contiguous_gradients():
    network = conv_network(classes=5, channels=3).eval()
    network = network.to(memory_format=torch.channels_last)
    x = (BOUNDS[0] + 3.5 * torch.rand(4, 3, 8, 8)).double()
    u = to_unit_range(x, BOUNDS).to(memory_format=torch.channels_last).requires_grad_()
    logits = UnitRangeModel(network, x, BOUNDS)(u.contiguous())
    torch.testing.assert_close(logits, network(x).float(), rtol=1e-4, atol=1e-4)
    u = to_unit_range(x, BOUNDS).requires_grad_()
    (gradient,) = torch.autograd.grad(UnitRangeModel(network, x, BOUNDS)(u).sum(), u)
    z = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(z).sum(), z)
    assert gradient.is_contiguous()
    assert not expected.is_contiguous()  # what the package would have had to do with
    torch.testing.assert_close(gradient.double(), 3.5 * expected, rtol=1e-3, atol=1e-3)


def test_rounded_images_are_projected_and_others_are_unchanged():
    x = torch.full((1, 1, 2, 2), 0.3, dtype=torch.float64)
    u = (x + 0.1 + 1e-8).float()
    assert (to_image_range(u, x, 0.1, 2.0, (0, 1)) - x).norm() <= 0.1 + 1e-15
    assert to_image_range(u, x.float(), 0.1, 2.0, (0, 1)) is u


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
