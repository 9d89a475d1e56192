"""What every attack has to do: one parametrised test per demand."""

import math

import pytest
import torch

import sense.attacks as attacks
from networks import conv_network, images_and_labels
from sense.attacks.checks import check_ball_and_bounds
from sense.attacks.divergence import divergence_pgd

STEPS = {"step_size": 0.02, "steps": 3}
SENSIBLE = {**STEPS, "c": 0.2}


def divergence(model, x, y, **options):
    return divergence_pgd(model, x, **options)


CALLS = {
    "pgd": (attacks.pgd, STEPS),
    "sensible": (attacks.sensible, SENSIBLE),
    "sensible, random start": (attacks.sensible, {**SENSIBLE, "random_start": True}),
    "sensible, bisect": (attacks.sensible, {**SENSIBLE, "boundary": "bisect"}),
    "sensible, noise": (attacks.sensible, {**SENSIBLE, "boundary": "noise"}),
    "divergence_pgd": (divergence, STEPS),
    "fgsm": (attacks.fgsm, {}),
    "deepfool": (attacks.deepfool, {}),
    "margin_pgd": (attacks.margin_pgd, STEPS),
    "margin_pgd, dlr": (attacks.margin_pgd, {**STEPS, "loss": "dlr"}),
    "targeted_pgd": (attacks.targeted_pgd, STEPS),
    "targeted_pgd, dlr": (attacks.targeted_pgd, {**STEPS, "loss": "dlr"}),
    "transfer": (attacks.transfer, STEPS),
    "square": (attacks.square, {"queries": 20}),
    "autoattack": (attacks.autoattack, {"parts": ["apgd-ce"]}),
    "autoattack, fab": (attacks.autoattack, {"parts": ["fab-t"]}),
}
EVERY = pytest.mark.parametrize("name", CALLS)
QUICK = pytest.mark.parametrize("name", [name for name in CALLS if name != "autoattack, fab"])
RADII = {math.inf: 0.1, 2: 0.8, 1: 4.0}


def attack(name, network, x, y, **options):
    function, own = CALLS[name]
    if function in (attacks.square, attacks.autoattack):
        pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    if function is attacks.transfer:
        own = {**own, "source": network}
    return function(network, x, y, **own, **options)


def test_every_public_attack_is_in_the_table():
    functions = {value for value in vars(attacks).values() if callable(value)}
    tested = {function for function, _ in CALLS.values()} - {divergence}
    results = {attacks.Stage, attacks.Verdicts}
    variants = {attacks.sensible_with_stages, attacks.autoattack_with_verdicts}
    assert functions == tested | results | variants | {attacks.deepfool_points}


@EVERY
def test_model_images_and_settings_of_the_caller_are_unchanged(name):
    network = conv_network(classes=5)
    network[1].eval()  # a frozen batch norm in a network that trains
    network[0].weight.requires_grad_(False)
    network[5].weight.grad = torch.ones_like(network[5].weight)
    x, y = images_and_labels(network, 8, 1, 8, 8)
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    images = x.clone().requires_grad_()

    with torch.no_grad():
        x_adv = attack(name, network, images, y, eps=0.05)
        assert not torch.is_grad_enabled()

    assert (x_adv != x).any()
    assert not x_adv.requires_grad
    assert torch.equal(images, x)
    assert images.grad is None
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert [key for key, p in network.named_parameters() if p.grad is not None] == ["5.weight"]
    assert torch.equal(network[5].weight.grad, torch.ones_like(network[5].weight))
    assert [key for key, p in network.named_parameters() if not p.requires_grad] == ["0.weight"]


@QUICK
def test_the_network_is_in_evaluation_mode_and_the_seed_decides_the_draws(name):
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 8, 1, 8, 8)
    made = []
    for mode in (True, False):
        torch.manual_seed(1)
        made.append(attack(name, network.train(mode), x, y, eps=0.05))
    assert torch.equal(*made)


@pytest.mark.parametrize(
    "name", ["sensible", "sensible, bisect", "fgsm", "deepfool", "square", "autoattack"]
)
def test_the_global_generator_is_not_used(name):
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 4, 1, 8, 8)
    before = torch.get_rng_state()
    attack(name, network, x, y, eps=0.05)
    assert torch.equal(torch.get_rng_state(), before)


@EVERY
@pytest.mark.parametrize("norm", RADII)
@pytest.mark.parametrize("bounds", [(0, 1), (-1.5, 2.0)])
def test_images_are_in_the_ball_and_in_the_bounds(name, norm, bounds):
    if name in ("deepfool", "divergence_pgd") and norm == 1:
        pytest.skip("supports inf and 2")
    network, eps = conv_network(classes=5).float(), RADII[norm]
    low, high = bounds
    x = low + (high - low) * torch.rand(6, 1, 8, 8).round(decimals=1)  # some at the bounds
    y = network.eval()(x).argmax(1)
    x_adv = attack(name, network, x, y, eps=eps, norm=norm, bounds=bounds)
    check_ball_and_bounds(x_adv, x, eps=eps, norm=norm, bounds=bounds)
    assert (x_adv != x).any()


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_type_are_kept_for_five_images_one_and_none(name, dtype):
    network = conv_network(classes=5, channels=3).to(dtype)
    x, y = torch.rand(5, 3, 8, 8, dtype=dtype), torch.tensor([0, 1, 2, 3, 4])
    for n in (5, 1, 0):
        x_adv = attack(name, network, x[:n], y[:n], eps=0.05)
        assert (x_adv.dtype, x_adv.shape) == (dtype, (n, 3, 8, 8))
        check_ball_and_bounds(x_adv, x[:n], eps=0.05, norm=math.inf)


@QUICK
def test_weights_and_images_may_be_in_channels_last_order(name):
    network = conv_network(classes=5, channels=3).float().eval()
    x = torch.rand(6, 3, 8, 8)
    y = network(x).argmax(1)
    torch.manual_seed(1)
    expected = attack(name, network, x, y, eps=0.05)
    network = network.to(memory_format=torch.channels_last)
    torch.manual_seed(1)
    x_adv = attack(name, network, x, y, eps=0.05)
    # Sums are in another order: a pixel or two may have another sign.
    assert ((x_adv - expected).abs() < 1e-5).float().mean() > 0.9
    x = x.to(memory_format=torch.channels_last)
    check_ball_and_bounds(attack(name, network, x, y, eps=0.05), x, eps=0.05, norm=math.inf)


@QUICK
def test_eps_zero_changes_no_image(name):
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 6, 1, 8, 8)
    assert torch.equal(attack(name, network, x, y, eps=0.0), x)
