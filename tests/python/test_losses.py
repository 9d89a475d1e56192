import math

import pytest
import torch

import reference
from sense.attacks.losses import (
    divergence,
    dlr,
    margin,
    other_classes,
    soft_margin,
    targeted_dlr,
    targeted_margin,
)


def test_divergence_of_known_distributions():
    p, q = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.25, 0.5]])
    expected = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    assert divergence(p.log(), q.log() + 3).item() == pytest.approx(expected, rel=1e-6)
    assert divergence(p.log(), p.log() - 1).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("size", [10.0, 1e2, 1e3, 1e6, 1e30])
def test_divergence_of_probabilities_of_zero_is_finite_in_float32(size):
    """The known failure of TRADES: the gradient of p log p at p = 0."""
    reference = torch.tensor([[size, 0.0, -size], [-size, size, 0.0]], requires_grad=True)
    logits = torch.tensor([[0.0, size, 0.0], [-size, size, 0.0]], requires_grad=True)
    value = divergence(reference, logits)
    assert torch.isfinite(value).all()
    gradients = torch.autograd.grad(value.sum(), [reference, logits])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_p_log_p_over_q_is_nan_for_probabilities_of_zero():
    """What `divergence` avoids is still there in torch's kl_div."""
    reference = torch.tensor([[200.0, 0.0, -200.0]], requires_grad=True)
    q = torch.zeros(1, 3).log_softmax(1)
    value = torch.nn.functional.kl_div(q, reference.softmax(1), reduction="sum")
    (gradient,) = torch.autograd.grad(value, reference)
    assert gradient.isnan().any()


def test_soft_margin_is_negative_where_the_class_has_more_than_half():
    logits = torch.randn(200, 5, dtype=torch.float64) * 3
    y = torch.randint(5, (200,))
    p = logits.softmax(1).gather(1, y.unsqueeze(1)).squeeze(1)
    margin = soft_margin(logits, y)
    assert torch.equal(margin < 0, p > 0.5)
    torch.testing.assert_close(margin, torch.log((1 - p) / p))


@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_margins_equal_the_reference(loss):
    logits, y = torch.randn(50, 5, dtype=torch.float64), torch.randint(5, (50,))
    slow = [getattr(reference, loss)(*row) for row in zip(logits, y.tolist(), strict=True)]
    fast = {"margin": margin, "dlr": dlr}[loss](logits, y)
    torch.testing.assert_close(fast, torch.stack(slow))
    assert torch.equal(fast > 0, logits.argmax(1) != y)


def test_targeted_losses_equal_the_reference():
    logits, y = torch.randn(50, 5, dtype=torch.float64), torch.randint(5, (50,))
    target = (y + torch.randint(1, 5, (50,))) % 5
    rows = list(zip(logits, y.tolist(), target.tolist(), strict=True))
    slow = torch.stack([reference.targeted_dlr(*row) for row in rows])
    torch.testing.assert_close(targeted_dlr(logits, y, target), slow)
    torch.testing.assert_close(
        targeted_margin(logits, y, target), torch.stack([z[t] - z[k] for z, k, t in rows])
    )


@pytest.mark.parametrize("loss", [dlr, lambda z, y: targeted_dlr(z, y, 1 - y)])
def test_ratios_do_not_depend_on_the_scale_and_are_finite_for_equal_logits(loss):
    logits, y = torch.randn(50, 5, dtype=torch.float64), torch.randint(2, (50,))
    torch.testing.assert_close(loss(1000 * logits - 7, y), loss(logits, y))
    assert torch.equal(loss(torch.zeros(2, 5), torch.tensor([0, 1])), torch.zeros(2))


def test_other_classes_are_those_with_the_highest_logits():
    logits, y = torch.tensor([[3.0, 9.0, 1.0, 2.0], [4.0, 5.0, 6.0, 7.0]]), torch.tensor([1, 0])
    assert other_classes(logits, y, 2).tolist() == [[0, 3], [3, 2]]
    assert other_classes(logits, y, 99).tolist() == [[0, 3, 2], [3, 2, 1]]
