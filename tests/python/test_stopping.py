"""An attack is stopped in a pass through the network, at its beginning or at a layer."""

import itertools
import math

import pytest
import torch

from networks import conv_network, images_and_labels
from sense import attacks, stopping
from sense.stopping import PassStopped, stoppable

ATTACKS = {
    "fgsm": (attacks.fgsm, {}),
    "pgd": (attacks.pgd, {"step_size": 0.05, "steps": 20}),
    "margin_pgd": (attacks.margin_pgd, {"step_size": 0.05, "steps": 20}),
    "targeted_pgd": (attacks.targeted_pgd, {"step_size": 0.05, "steps": 20}),
    "sensible": (attacks.sensible, {"step_size": 0.05, "steps": 20, "c": 0.1}),
    "deepfool": (attacks.deepfool, {}),
    "square": (attacks.square, {"queries": 500}),
    "autoattack": (attacks.autoattack, {"parts": ["apgd-ce", "fab-t", "square"]}),
}


@pytest.fixture
def images():
    network = conv_network().eval().float()
    x, _ = images_and_labels(conv_network().eval(), 20, 1, 8, 8)
    return network, x.float(), network(x.float()).argmax(1)


def after(calls, reason=15):
    """A signal that comes after so many checks."""
    count = itertools.count()
    return lambda: reason if next(count) >= calls else None


@pytest.mark.parametrize("calls", [0, 1, 7, 40])
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_stops_and_leaves_the_model_as_it_was(images, name, calls):
    if name in ("square", "autoattack"):
        pytest.importorskip("pyautoattack")
    network, x, y = images
    attack, options = ATTACKS[name]
    calls = min(calls, {"fgsm": 3, "deepfool": 20}.get(name, calls))
    hooks = hooks_of(network)
    with pytest.raises(PassStopped) as stopped, stoppable(network, after(calls)):
        attack(network, x, y, eps=0.05, **options)
    assert stopped.value.reason == 15
    assert hooks_of(network) == hooks == 0
    assert not any(module.training for module in network.modules())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())


def hooks_of(network):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


@pytest.mark.parametrize("name", ATTACKS)
def test_without_a_signal_the_result_is_the_same(images, name):
    if name in ("square", "autoattack"):
        pytest.importorskip("pyautoattack")
    network, x, y = images
    attack, options = ATTACKS[name]
    torch.manual_seed(2)
    expected = attack(network, x, y, eps=0.05, **options)
    torch.manual_seed(2)
    with stoppable(network, lambda: None):
        found = attack(network, x, y, eps=0.05, **options)
    assert torch.equal(found, expected)


class Layer(torch.nn.Module):
    """Counts its forward passes, and the gradients that have passed through it."""

    def __init__(self):
        super().__init__()
        self.forwards, self.backwards = 0, 0

    def forward(self, x):
        self.forwards += 1
        y = 2 * x
        if y.requires_grad:
            y.register_hook(self.count)
        return y

    def count(self, gradient):
        self.backwards += 1


def test_a_slow_pass_is_stopped_between_its_layers_forward_and_backward():
    layers = [Layer() for _ in range(5)]
    network = torch.nn.Sequential(*layers)
    x = torch.ones(1, requires_grad=True)
    with stoppable(network, after(3)), pytest.raises(PassStopped):
        network(x)  # the first check is that of the whole network
    assert [layer.forwards for layer in layers] == [1, 1, 0, 0, 0]
    with stoppable(network, after(6 + 3)), pytest.raises(PassStopped):
        torch.autograd.grad(network(x), x)
    assert [layer.backwards for layer in layers] == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(("slow", "checks"), [(0.0, 3 * 6), (math.inf, 6 + 1 + 1)])
def test_layers_check_for_a_signal_only_while_passes_are_slow(monkeypatch, slow, checks):
    monkeypatch.setattr(stopping, "SLOW", slow)
    network, counted = torch.nn.Sequential(*(Layer() for _ in range(5))), []
    with stoppable(network, lambda: counted.append(1)):
        for _ in range(3):
            network(torch.ones(1))
    assert len(counted) == checks
