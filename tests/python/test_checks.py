import math

import pytest
import torch

from networks import flat_network, images_and_labels
from sense.attacks import pgd, sensible
from sense.attacks.checks import check_adversarial, one_of, rounding

GOOD = {"eps": 0.3, "step_size": 0.1, "steps": 2}
BAD = {
    "eps negative": ({"eps": -0.1}, r"eps must be .* >= 0, such as 8/255, got -0.1"),
    "eps nan": ({"eps": math.nan}, "eps must be a finite number .* got nan"),
    "eps inf": ({"eps": math.inf}, "eps must be a finite number"),
    "step zero": ({"step_size": 0.0}, "step_size must be .* > 0, got 0.0"),
    "step nan": ({"step_size": math.nan}, "step_size must be"),
    "steps zero": ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
    "steps real": ({"steps": 2.5}, "steps must be a whole number >= 1, got 2.5"),
    "norm 3": ({"norm": 3}, "norm must be inf, 2 or 1, got 3"),
    "norm text": ({"norm": "inf"}, "norm must be inf, 2 or 1, got 'inf'"),
    "bounds": ({"bounds": (1, 0)}, r"bounds must be \(low, high\) .* got \(1, 0\)"),
}


@pytest.mark.parametrize("attack", [pgd, sensible])
@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_arguments_are_named_with_what_to_pass(attack, change, message):
    network = flat_network()
    x, y = images_and_labels(network, 4, 6)
    extra = {"c": 0.5} if attack is sensible else {}
    with pytest.raises(ValueError, match=message):
        attack(network, x, y, **{**GOOD, **extra, **change})


@pytest.mark.parametrize("c", [-0.1, 1.1, math.nan])
def test_c_must_be_a_probability(c):
    network = flat_network()
    x, y = images_and_labels(network, 4, 6)
    with pytest.raises(ValueError, match=f"c is a probability, from 0 to 1, got {c}"):
        sensible(network, x, y, c=c, **GOOD)


def test_bytes_as_images_and_wrong_labels_are_refused():
    network = flat_network()
    x, y = images_and_labels(network, 4, 6)
    with pytest.raises(ValueError, match=r"x must be a floating point tensor .* torch.uint8"):
        pgd(network, (255 * x).byte(), y, **GOOD)
    for labels in (y.int(), y[:3], y[:, None]):
        with pytest.raises(ValueError, match=r"one int64 label an image, shape \(4,\)"):
            pgd(network, x, labels, **GOOD)


@pytest.mark.parametrize("norm", [math.inf, 2.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_honest_attack_passes(norm, dtype):
    network = flat_network().to(dtype)
    x, y = images_and_labels(network.double(), 50, 6)
    network, x = network.to(dtype), x.to(dtype)
    x_adv = pgd(network, x, y, norm=norm, **GOOD)
    check_adversarial(x_adv, x, eps=0.3, norm=norm)


@pytest.mark.parametrize(
    ("cheat", "message"),
    [
        (lambda x: x + 0.11, "distance of 0.1"),
        (lambda x: x - 2, "left the pixel bounds"),
        (lambda x: x + 2, "left the pixel bounds"),
        (lambda x: x * math.nan, "NaN"),
    ],
)
def test_a_cheating_attack_is_caught(cheat, message):
    x = torch.full((3, 1, 4, 4), 0.5)
    x_adv = x.clone()
    x_adv[1, 0, 2, 2] = cheat(x[1, 0, 2, 2])
    with pytest.raises(ArithmeticError, match=message):
        check_adversarial(x_adv, x, eps=0.1, norm=math.inf)


def test_no_images_are_no_offence():
    none = torch.zeros(0, 1, 4, 4)
    check_adversarial(none, none, eps=0.1, norm=math.inf)


@pytest.mark.parametrize(("norm", "most"), [(math.inf, 2e-6), (2.0, 5.4e-5), (1.0, 1.5e-3)])
def test_rounding_is_forgiven_and_no_more(norm, most):
    x = torch.full((2, 1, 28, 28), 0.5)
    u = torch.ones(28 * 28).view(1, 28, 28)
    u = u / u.norm(p=norm)
    assert rounding(x, norm, (0, 1)) == pytest.approx(most, rel=0.05)
    for excess, allowed in ((0.3 * most, True), (2 * most, False)):
        x_adv = x + torch.stack([0 * u, (0.1 + excess) * u])
        if allowed:
            check_adversarial(x_adv, x, eps=0.1, norm=norm)
        else:
            with pytest.raises(ArithmeticError, match=r"a distance of 0.1.*, past eps = 0.1"):
                check_adversarial(x_adv, x, eps=0.1, norm=norm)


def test_each_image_is_judged_by_its_own_radius():
    x = torch.full((2, 1, 2, 2), 0.5)
    x_adv, eps = x + 0.1, torch.tensor([0.3, 0.1])
    check_adversarial(x_adv, x, eps=eps, norm=math.inf)
    with pytest.raises(ArithmeticError, match=r"past eps = 0.05"):
        check_adversarial(x_adv, x, eps=eps - 0.05, norm=math.inf)


def test_values_are_named_as_in_a_sentence():
    assert one_of((math.inf, 2.0, 1.0)) == "inf, 2 or 1"
    assert one_of((math.inf, 2.0)) == "inf or 2"
    assert one_of(("one",)) == "one"
