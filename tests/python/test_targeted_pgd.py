import math

import pytest
import torch
from torch import nn

from networks import CountRows, conv_network, images_and_labels
from oracles import broken
from sense.attacks import margin_pgd, targeted_pgd
from sense.attacks.losses import margin

NORMS = pytest.mark.parametrize("norm", [math.inf, 2, 1])
OPTIONS = {"eps": 0.1, "step_size": 0.05, "steps": 3}


class HiddenWay(nn.Module):
    """Three classes on the line. At 0.5 class 1 has the second logit and is never predicted;
    class 2 is predicted below 0.35, but its logit falls where that of class 1 rises."""

    def forward(self, x):
        u = x[:, 0]
        return torch.stack([torch.ones_like(u), 0.5 + (u - 0.5), 20 * (0.4 - u)], dim=1)


def test_breaks_an_image_that_the_margin_attack_does_not():
    x, y = torch.tensor([[0.5]]), torch.tensor([0])
    options = {"eps": 0.3, "step_size": 0.1, "steps": 10, "random_start": False}
    assert not broken(HiddenWay(), margin_pgd(HiddenWay(), x, y, **options), y).any()
    assert not broken(HiddenWay(), targeted_pgd(HiddenWay(), x, y, targets=1, **options), y).any()
    found = targeted_pgd(HiddenWay(), x, y, **options)
    assert HiddenWay()(found).argmax(1).item() == 2
    assert found.item() == pytest.approx(0.2)


@NORMS
@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_more_targets_never_lower_the_margin(norm, loss):
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 40, 1, 8, 8)
    worst = []
    for targets in (1, 2, None):
        x_adv = targeted_pgd(
            network, x, y, targets=targets, loss=loss, norm=norm, random_start=False, **OPTIONS
        )
        network.eval()
        worst.append(margin(network(x_adv), y))
    assert (worst[0] >= margin(network(x), y)).all()
    correct = worst[0] <= 0
    assert (worst[1] >= worst[0])[correct].all()
    assert (worst[2] >= worst[1])[worst[1] <= 0].all()
    assert torch.equal(worst[1][~correct], worst[0][~correct])
    assert (worst[2] > 0).sum() >= (worst[0] > 0).sum() > 10


def test_a_misclassified_image_has_no_further_forward_passes():
    network = CountRows(conv_network(classes=4))
    x, y = images_and_labels(network, 8, 1, 8, 8)
    y = network.eval()(x).argmax(1)
    wrong = (y + 1) % 4
    network.rows = 0
    assert torch.equal(targeted_pgd(network, x, wrong, **OPTIONS), x)
    assert network.rows == 8  # one pass to see that all are misclassified as they are
    network.rows = 0
    targeted_pgd(network, x, y, **{**OPTIONS, "eps": 0.0})
    assert network.rows == 8 * (1 + 3 * (3 + 1))  # three targets: three steps and the verdict


def test_dlr_needs_four_classes():
    network = conv_network(classes=3)
    x, y = images_and_labels(network, 2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"the loss targeted dlr needs at least 4 classes.* has 3"):
        targeted_pgd(network, x, y, **OPTIONS, loss="dlr")
