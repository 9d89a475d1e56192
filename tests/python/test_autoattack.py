import math
import warnings

import pytest
import torch
from torch import nn

import oracles
from networks import CountRows, conv_network
from sense.attacks import autoattack, autoattack_with_verdicts
from sense.attacks.autoattack import STANDARD
from test_square import Rounded

pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")


def right(network: nn.Module, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random float32 images and what the network says of them."""
    x = torch.rand(n, 1, 8, 8)
    return x, network.eval()(x).argmax(1)


def test_equals_pyautoattack_to_the_bit():
    network = conv_network(classes=4).float()
    x, y = right(network, 6)
    y[0] = (y[0] + 1) % 4
    # Without Square, whose 5000 queries take seconds: see `test_square`, and `test_agreement`.
    options = {"eps": 0.012, "parts": ["apgd-ce", "apgd-t", "fab-t"], "batch_size": 4}
    ours = autoattack_with_verdicts(network, x, y, **options)
    theirs = oracles.autoattack(network, x, y, norm=math.inf, targets=3, **options)
    assert torch.equal(ours.x_adv, theirs)
    assert ours.broken_by[0] == "natural"
    assert {None, "apgd-ce"} <= set(ours.broken_by)


def test_returns_the_part_that_broke_each_image():
    network = conv_network(classes=5).float()
    x, y = right(network, 20)
    y[3] = (y[3] + 1) % 5
    found = autoattack_with_verdicts(network, x, y, eps=0.02, parts=["apgd-ce", "apgd-t"])
    network.eval()
    broken = network(found.x_adv).argmax(1) != y
    assert [name is not None for name in found.broken_by] == broken.tolist()
    assert torch.equal(found.x_adv[~broken], x[~broken])
    assert found.broken_by[3] == "natural"
    assert torch.equal(found.x_adv[3], x[3])
    alone = autoattack_with_verdicts(network, x, y, eps=0.02, parts=["apgd-ce"])
    assert 0 < broken.sum() < 20
    assert [name == "apgd-ce" for name in alone.broken_by] == [
        name == "apgd-ce" for name in found.broken_by
    ]
    assert found.warnings == []


def test_square_breaks_a_network_without_gradients_and_the_warning_is_returned():
    network = nn.Sequential(Rounded(), conv_network(classes=4)).float()
    x, y = right(network, 10)
    found = autoattack_with_verdicts(network, x, y, eps=0.3, parts=["apgd-t", "square"])
    assert "square" in found.broken_by
    assert any("zero gradient" in flag for flag in found.warnings)


class Noisy(nn.Module):
    """A stochastic defence."""

    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


@pytest.mark.parametrize(
    ("defence", "flag"),
    [(Noisy(), "randomized defense"), (nn.Softmax(1), "probability distribution")],
)
def test_warnings_of_the_package_are_returned_and_not_printed(defence, flag, capfd):
    network = conv_network(classes=4)
    where = [defence, network] if isinstance(defence, Noisy) else [network, defence]
    network = nn.Sequential(*where).float()
    x, y = right(network, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = autoattack_with_verdicts(network, x, y, eps=0.01, parts=["apgd-ce", "apgd-t"])
    assert sum(flag in text for text in found.warnings) == 1
    assert capfd.readouterr() == ("", "")


class Dynamic(nn.Module):
    """A defence that takes gradients while it predicts."""

    def forward(self, x):
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            (step,) = torch.autograd.grad(z.square().sum(), z)
        return x - 0.01 * step


def test_a_dynamic_model_has_a_warning_and_the_next_model_has_none():
    network = conv_network(classes=4).float()
    x, y = right(network, 3)
    flags = [
        autoattack_with_verdicts(model, x, y, eps=0.3, parts=["apgd-ce"]).warnings
        for model in (nn.Sequential(Dynamic(), network), network)
    ]
    assert len(flags[0]) == 1
    assert "dynamic defense" in flags[0][0]
    assert flags[1] == []


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_works_with_any_number_of_classes(classes):
    network = conv_network(classes=classes).float()
    x, y = right(network, 4)
    if classes < 4:
        with pytest.raises(
            ValueError, match=rf"apgd-t needs at least 4 .* has {classes}: pass parts=\['apg"
        ):
            autoattack(network, x, y, eps=0.05, parts=STANDARD)
    if classes < 3:
        with pytest.raises(ValueError, match="apgd-dlr needs at least 3 classes"):
            autoattack(network, x, y, eps=0.05, parts=["apgd-dlr"])
    parts = ["apgd-ce", "fab-t"] if classes < 4 else ["apgd-t", "fab-t"]
    assert None not in autoattack_with_verdicts(network, x, y, eps=0.3).broken_by
    found = autoattack_with_verdicts(network, x, y, eps=0.3, parts=parts)
    assert None not in found.broken_by
    assert found.warnings == []


def test_later_parts_do_not_attack_broken_images():
    network = CountRows(conv_network(classes=4)).float()
    x, y = right(network, 4)
    network.rows = 0
    found = autoattack_with_verdicts(network, x, y, eps=0.5)
    assert found.broken_by == ["apgd-ce"] * 4
    assert network.rows < 4 * 120  # APGD's 101 passes, the flags' and the verdicts'
