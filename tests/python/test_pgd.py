import math

import pytest
import torch

import oracles
import reference
from networks import conv_network, flat_network, images_and_labels, linear_network
from sense.attacks import pgd, sensible
from sense.attacks.geometry import random_point

NORMS = pytest.mark.parametrize("norm", [math.inf, 2, 1])


@NORMS
def test_reaches_the_maximum_of_a_linear_model(norm):
    w = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    x, y = torch.rand(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    farthest = {
        math.inf: w.sign(),
        2: w / w.norm(),
        1: torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64),
    }[norm]
    x_adv = pgd(
        linear_network(w),
        x,
        y,
        eps=0.3,
        step_size=0.05,
        steps=60,
        norm=norm,
        random_start=False,
        bounds=(-9, 9),
    )
    torch.testing.assert_close(x_adv, x + 0.3 * farthest, rtol=0, atol=1e-10)


def test_reaches_the_corner_that_the_bounds_leave():
    w = torch.tensor([1.0, -2.0, 3.0])
    x, y = torch.tensor([[0.9, 0.1, 0.5]]), torch.tensor([0])
    x_adv = pgd(linear_network(w), x, y, eps=0.3, step_size=0.1, steps=20)
    torch.testing.assert_close(x_adv, torch.tensor([[1.0, 0.0, 0.8]]))


@NORMS
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_equals_the_reference(norm, classes):
    network = conv_network(classes)
    x, y = images_and_labels(network, 8, 1, 8, 8)
    options = {"eps": 0.6, "step_size": 0.25, "steps": 5, "norm": norm}
    fast = pgd(network, x, y, random_start=False, **options)
    slow = reference.pgd(network, x, y, **options)
    assert (fast != x).flatten(1).any(1).all()
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


@NORMS
def test_equals_the_reference_from_a_random_start_on_flat_images(norm):
    network = flat_network()
    x, y = images_and_labels(network, 8, 6)
    options = {"eps": 0.3, "step_size": 0.1, "steps": 4, "norm": norm}
    torch.manual_seed(5)
    start = random_point(x, 0.3, norm, (0, 1))
    torch.manual_seed(5)
    fast = pgd(network, x, y, **options)
    slow = reference.pgd(network, x, y, start=start, **options)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


ATTACKS = {
    "pgd": lambda *batch: pgd(*batch, eps=0.03, step_size=0.01, steps=3),
    "sensible": lambda *batch: sensible(*batch, eps=0.03, step_size=0.01, steps=3, c=0.3),
    "sensible, random start": lambda *batch: sensible(
        *batch, eps=0.03, step_size=0.01, steps=3, c=0.3, random_start=True
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_leaves_the_model_and_the_images_as_they_were(attack):
    network = conv_network()
    network[1].eval()  # a frozen batch norm in a network that trains
    network[0].weight.requires_grad_(False)
    network[5].weight.grad = torch.ones_like(network[5].weight)
    x, y = images_and_labels(network, 8, 1, 8, 8)
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    images = x.clone()

    x_adv = attack(network, x, y)

    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert [name for name, p in network.named_parameters() if p.grad is not None] == ["5.weight"]
    assert torch.equal(network[5].weight.grad, torch.ones_like(network[5].weight))
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert torch.equal(x, images)
    assert not x.requires_grad
    assert not x_adv.requires_grad


def test_modes_are_restored_after_an_error():
    network = conv_network()
    with pytest.raises(RuntimeError):
        pgd(
            network,
            torch.rand(2, 5, 8, 8),
            torch.zeros(2, dtype=torch.int64),
            eps=0.1,
            step_size=0.1,
            steps=1,
        )
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_sees_no_dropout_and_no_setting_of_the_caller(attack):
    network = conv_network()
    x, y = images_and_labels(network, 8, 1, 8, 8)
    torch.manual_seed(1)
    expected = attack(network.eval(), x, y)
    torch.manual_seed(1)
    with torch.no_grad():
        assert torch.equal(attack(network.train(), x.clone().requires_grad_(), y), expected)
    assert (expected != x).any()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_shape_and_type_and_takes_no_images(attack, dtype):
    network = conv_network(channels=3).to(dtype)
    x, y = torch.rand(5, 3, 8, 8, dtype=dtype), torch.tensor([0, 1, 2, 0, 1])
    for n in (5, 1, 0):
        x_adv = attack(network, x[:n], y[:n])
        assert (x_adv.dtype, x_adv.shape) == (dtype, (n, 3, 8, 8))


@NORMS
def test_eps_zero_gives_the_images_back(norm):
    network = conv_network()
    x, y = images_and_labels(network, 6, 1, 8, 8)
    x_adv = pgd(network, x, y, eps=0.0, step_size=0.1, steps=2, norm=norm)
    assert torch.equal(x_adv, x)


@pytest.mark.parametrize(("norm", "eps"), [(math.inf, 0.1), (2, 1.2)])
def test_agrees_with_foolbox_image_by_image(sample, norm, eps):
    model = oracles.trained("nt", torch.float64)
    x, y = sample.test_x[:60].double() / 255, sample.test_y[:60]
    options = {
        "eps": eps,
        "step_size": eps / 4,
        "steps": 10,
        "norm": norm,
        "start": random_point(x, eps, norm, (0, 1)),
    }
    ours, theirs = pgd(model, x, y, **options), oracles.pgd(model, x, y, **options)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    verdicts = oracles.broken(model, ours, y)
    assert torch.equal(verdicts, oracles.broken(model, theirs, y))
    assert 10 < verdicts.sum() < 50
