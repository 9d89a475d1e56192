import math

import pytest
import torch

from networks import flat_network, images_and_labels
from sense.attacks import pgd
from sense.attacks.checks import check_ball_and_bounds, rounding_error

GOOD = {"eps": 0.3, "step_size": 0.1, "steps": 2}


@pytest.mark.parametrize("norm", [math.inf, 2.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_valid_result_passes(norm, dtype):
    network = flat_network().to(dtype)
    x, y = images_and_labels(network.double(), 50, 6)
    network, x = network.to(dtype), x.to(dtype)
    x_adv = pgd(network, x, y, norm=norm, **GOOD)
    check_ball_and_bounds(x_adv, x, eps=0.3, norm=norm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x + 0.11, "distance of 0.1"),
        (lambda x: x - 2, "left the pixel bounds"),
        (lambda x: x + 2, "left the pixel bounds"),
        (lambda x: x * math.nan, "NaN"),
    ],
)
def test_an_invalid_result_is_refused(change, message):
    x = torch.full((3, 1, 4, 4), 0.5)
    x_adv = x.clone()
    x_adv[1, 0, 2, 2] = change(x[1, 0, 2, 2])
    with pytest.raises(ArithmeticError, match=message):
        check_ball_and_bounds(x_adv, x, eps=0.1, norm=math.inf)


def test_an_empty_batch_passes():
    none = torch.zeros(0, 1, 4, 4)
    check_ball_and_bounds(none, none, eps=0.1, norm=math.inf)


@pytest.mark.parametrize(("norm", "most"), [(math.inf, 2e-6), (2.0, 5.4e-5), (1.0, 1.5e-3)])
def test_only_rounding_errors_are_allowed(norm, most):
    x = torch.full((2, 1, 28, 28), 0.5)
    u = torch.ones(28 * 28).view(1, 28, 28)
    u = u / u.norm(p=norm)
    assert rounding_error(x, norm, (0, 1)) == pytest.approx(most, rel=0.05)
    for excess, allowed in ((0.3 * most, True), (2 * most, False)):
        x_adv = x + torch.stack([0 * u, (0.1 + excess) * u])
        if allowed:
            check_ball_and_bounds(x_adv, x, eps=0.1, norm=norm)
        else:
            with pytest.raises(ArithmeticError, match=r"a distance of 0.1.*, past eps = 0.1"):
                check_ball_and_bounds(x_adv, x, eps=0.1, norm=norm)


def test_each_image_is_checked_with_its_own_radius():
    x = torch.full((2, 1, 2, 2), 0.5)
    x_adv, eps = x + 0.1, torch.tensor([0.3, 0.1])
    check_ball_and_bounds(x_adv, x, eps=eps, norm=math.inf)
    with pytest.raises(ArithmeticError, match=r"past eps = 0.05"):
        check_ball_and_bounds(x_adv, x, eps=eps - 0.05, norm=math.inf)
