"""What a network gives in an attack is looked at, unless values are trusted."""

import pytest
import torch
from torch import nn

from sense.attacks.output_checks import (
    CheckedNetwork,
    check_gradient,
    check_logits,
    trusted_values,
    values_are_trusted,
)
from sense.errors import InputError, NotFiniteError


class Gives(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output


LOGITS = torch.zeros(3, 4)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(3), r"logits of shape \(3, classes\), .* gave \(3,\)"),
        (torch.zeros(2, 4), r"logits of shape \(3, classes\), .* gave \(2, 4\)"),
        ((LOGITS, LOGITS), r"logits of shape \(3, classes\), .* gave a tuple"),
        ({"out": LOGITS}, "gave a dict"),
        (torch.zeros(3, 1), "2 classes or more, gives 1 logit"),
        (torch.zeros(3, 2), "labels up to 3, the network gives 2 logits: labels go from 0 to 1"),
        (LOGITS.long(), r"floating point logits, gave torch\.int64"),
        (LOGITS.index_fill(0, torch.tensor(1), torch.nan), "logit of nan, first for image 1 of 3"),
        (LOGITS.index_fill(0, torch.tensor(2), -torch.inf), "logit of -inf, first for image 2"),
    ],
)
def test_an_output_that_is_no_logits_is_named(output, message):
    with pytest.raises(InputError, match=message):
        CheckedNetwork(Gives(output), classes=4)(torch.zeros(3, 1, 2, 2))


def test_logits_pass_as_they_are_and_the_network_keeps_its_modes():
    network = nn.Sequential(nn.Dropout(0.5), Gives(LOGITS)).eval()
    watched = CheckedNetwork(network, classes=4)
    assert not watched.training
    assert watched(torch.zeros(3, 1, 2, 2)) is LOGITS
    check_logits(LOGITS, 3, 0)


def test_a_gradient_that_is_not_finite_is_named_unless_values_are_trusted():
    gradient = torch.zeros(4, 1, 2, 2)
    check_gradient(gradient)
    gradient[2, 0, 1, 1] = torch.inf
    with pytest.raises(NotFiniteError, match="gradient with respect to image 2 of 4"):
        check_gradient(gradient)
    with trusted_values():
        assert values_are_trusted()
        check_gradient(gradient)
    assert not values_are_trusted()
