"""Checks of logits and gradients in an attack."""

import pytest
import torch
from torch import nn

from sense.attacks.output_checks import (
    CheckedNetwork,
    check_gradient,
    check_logits,
    skip_value_checks,
    value_checks_are_skipped,
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
        (torch.zeros(3, 1), "at least 2 classes, gives 1 logit"),
        (
            torch.zeros(3, 2),
            "labels up to 3, the network gives 2 logits: labels must be from 0 to 1",
        ),
        (LOGITS.long(), r"floating point logits, gave torch\.int64"),
        (LOGITS.index_fill(0, torch.tensor(1), torch.nan), "logit of nan, first for image 1 of 3"),
        (LOGITS.index_fill(0, torch.tensor(2), -torch.inf), "logit of -inf, first for image 2"),
    ],
)
def test_an_output_that_is_not_logits_is_refused(output, message):
    with pytest.raises(InputError, match=message):
        CheckedNetwork(Gives(output), classes=4)(torch.zeros(3, 1, 2, 2))


def test_correct_logits_are_returned_and_modes_are_kept():
    network = nn.Sequential(nn.Dropout(0.5), Gives(LOGITS)).eval()
    checked = CheckedNetwork(network, classes=4)
    assert not checked.training
    assert checked(torch.zeros(3, 1, 2, 2)) is LOGITS
    check_logits(LOGITS, 3, 0)


def test_a_gradient_that_is_not_finite_is_refused_unless_checks_are_skipped():
    gradient = torch.zeros(4, 1, 2, 2)
    check_gradient(gradient)
    gradient[2, 0, 1, 1] = torch.inf
    with pytest.raises(NotFiniteError, match="gradient with respect to image 2 of 4"):
        check_gradient(gradient)
    with skip_value_checks():
        assert value_checks_are_skipped()
        check_gradient(gradient)
    assert not value_checks_are_skipped()
