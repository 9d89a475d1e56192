"""Demands that every attack meets."""

import inspect
import math
from typing import get_type_hints

import pytest
import torch
from torch import nn

import sense.attacks as attacks
from networks import conv_network, images_and_labels
from sense.attacks.checks import check_ball_and_bounds
from sense.attacks.divergence import divergence_pgd
from sense.attacks.margins import boundary_points
from sense.attacks.output_checks import skip_value_checks
from sense.errors import InputError, NotFiniteError

STEPS = {"step_size": 0.02, "steps": 3}
SENSIBLE = {**STEPS, "c": 0.3}
ATTACKS = {
    "pgd": (attacks.pgd, STEPS),
    "fgsm": (attacks.fgsm, {}),
    "deepfool": (attacks.deepfool, {}),
    "deepfool_points": (attacks.deepfool_points, {}),
    "margin_pgd": (attacks.margin_pgd, STEPS),
    "margin_pgd, dlr": (attacks.margin_pgd, {**STEPS, "loss": "dlr"}),
    "targeted_pgd": (attacks.targeted_pgd, STEPS),
    "targeted_pgd, dlr": (attacks.targeted_pgd, {**STEPS, "loss": "dlr"}),
    "transfer": (attacks.transfer, STEPS),
    "sensible": (attacks.sensible, SENSIBLE),
    "sensible, random start": (attacks.sensible, {**SENSIBLE, "random_start": True}),
    "sensible, noise": (attacks.sensible_with_stages, {**SENSIBLE, "boundary": "noise"}),
    "sensible, bisect": (attacks.sensible_with_stages, {**SENSIBLE, "boundary": "bisect"}),
    "divergence_pgd": (divergence_pgd, STEPS),
    "boundary_points": (boundary_points, {"farthest": 0.3, "steps": 3}),
    "square": (attacks.square, {"queries": 20}),
    "autoattack": (attacks.autoattack, {"parts": ["apgd-ce"]}),
    "autoattack, fab": (attacks.autoattack_with_verdicts, {"parts": ["fab-t"]}),
}
OF_PYAUTOATTACK = ("square", "autoattack", "autoattack, fab")
ANY_DISTANCE = ("deepfool_points", "boundary_points")  # their images may be farther than eps
WITHOUT_L1 = ("deepfool", "deepfool_points", "divergence_pgd", "boundary_points")
RADII = {math.inf: 0.1, 2: 0.8, 1: 4.0}

EVERY = pytest.mark.parametrize("name", ATTACKS)
FAST = pytest.mark.parametrize("name", [name for name in ATTACKS if name != "autoattack, fab"])
IN_THE_BALL = pytest.mark.parametrize("name", [n for n in ATTACKS if n not in ANY_DISTANCE])
NORMS = pytest.mark.parametrize("norm", RADII)


def attack(name, network, x, y, *, eps=0.05, **changes):
    """Return the images of the attack. `changes` are other arguments than those of `ATTACKS`."""
    function, options = ATTACKS[name]
    if name in OF_PYAUTOATTACK:
        pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    if name in WITHOUT_L1 and changes.get("norm") == 1:
        pytest.skip("for the norms inf and 2")
    if name == "boundary_points":
        eps = torch.full((len(x),), eps, dtype=x.dtype)
    arguments = {"y": y, "eps": eps, "source": network}
    parameters = inspect.signature(function).parameters
    arguments = {key: value for key, value in arguments.items() if key in parameters}
    found = function(network, x, **arguments, **{**options, **changes})
    return found[0] if isinstance(found, tuple) else found


def problem(n=6, channels=1):
    network = conv_network(classes=5, channels=channels)
    return network, *images_and_labels(network, n, channels, 8, 8)


def test_every_attack_is_in_the_list():
    public = {getattr(attacks, name) for name in attacks.__all__}
    tested = {function for function, _ in ATTACKS.values()}
    assert public - tested == {attacks.Stage, attacks.Verdicts}


@EVERY
def test_leaves_the_model_and_the_images_unchanged(name):
    network, x, y = problem(8)
    network[1].eval()  # a frozen batch norm in a network that trains
    network[0].weight.requires_grad_(False)
    network[5].weight.grad = torch.ones_like(network[5].weight)
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    images = x.clone().requires_grad_()

    x_adv = attack(name, network, images, y)

    assert (x_adv != x).any()
    assert not x_adv.requires_grad
    assert torch.equal(images, x)
    assert images.grad is None
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert [key for key, p in network.named_parameters() if p.grad is not None] == ["5.weight"]
    assert torch.equal(network[5].weight.grad, torch.ones_like(network[5].weight))
    assert [key for key, p in network.named_parameters() if not p.requires_grad] == ["0.weight"]


@EVERY
def test_modes_are_restored_after_an_error(name):
    network, _, y = problem(2)
    with pytest.raises(RuntimeError, match="channels"):
        attack(name, network, torch.rand(2, 5, 8, 8, dtype=torch.float64), y)
    assert all(module.training for module in network.modules())


@FAST
def test_uses_evaluation_mode_and_depends_on_the_seed_alone(name):
    network, x, y = problem(8)
    found = []
    for training in (True, False):
        torch.manual_seed(1)
        found.append(attack(name, network.train(training), x, y))
    assert torch.equal(*found)


@pytest.mark.parametrize(
    "name", ["fgsm", "deepfool", "sensible", "sensible, bisect", "square", "autoattack"]
)
def test_does_not_use_the_global_generator(name):
    network, x, y = problem(4)
    before = torch.get_rng_state()
    attack(name, network, x, y)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["pgd", "margin_pgd", "divergence_pgd", "boundary_points"])
def test_starts_from_the_given_images_or_at_random_by_the_seed(name):
    network, x, y = problem()
    start = (x + 0.03).clamp(0, 1)
    assert torch.equal(*[attack(name, network, x, y, start=start) for _ in range(2)])
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append(attack(name, network, x, y))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@IN_THE_BALL
@NORMS
@pytest.mark.parametrize("bounds", [(0, 1), (-1.5, 2.0)])
def test_stays_in_the_ball_and_the_bounds(name, norm, bounds):
    network, eps = conv_network(classes=5).float(), RADII[norm]
    low, high = bounds
    x = low + (high - low) * torch.rand(6, 1, 8, 8).round(decimals=1)  # some at the bounds
    y = network.eval()(x).argmax(1)
    x_adv = attack(name, network, x, y, eps=eps, norm=norm, bounds=bounds)
    check_ball_and_bounds(x_adv, x, eps=eps, norm=norm, bounds=bounds)
    assert (x_adv != x).any()


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_shape_and_type_of_several_images_one_and_none(name, dtype):
    network = conv_network(classes=5, channels=3).to(dtype)
    x, y = torch.rand(5, 3, 8, 8, dtype=dtype), torch.tensor([0, 1, 2, 3, 4])
    for n in (5, 1, 0):
        x_adv = attack(name, network, x[:n], y[:n])
        assert (x_adv.dtype, x_adv.shape) == (dtype, (n, 3, 8, 8))


@IN_THE_BALL
@NORMS
def test_radius_zero_returns_the_images(name, norm):
    network, x, y = problem()
    assert torch.equal(attack(name, network, x, y, eps=0.0, norm=norm), x)


@pytest.mark.parametrize("name", ["pgd", "fgsm", "deepfool", "margin_pgd", "transfer"])
@NORMS
def test_each_image_may_have_its_own_radius(name, norm):
    network, x, y = problem(3)
    fixed = {} if name in ("fgsm", "deepfool") else {"random_start": False}
    eps = torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64)
    together = attack(name, network, x, y, eps=eps, norm=norm, **fixed)
    for i in range(3):
        one = slice(i, i + 1)
        alone = attack(name, network, x[one], y[one], eps=float(eps[i]), norm=norm, **fixed)
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", WITHOUT_L1)
def test_a_norm_that_is_not_supported_is_refused(name):
    network, x, y = problem()
    with pytest.raises(InputError, match="norm must be inf or 2, got '1'"):
        attack(name, network, x, y, norm="1")


@EVERY
def test_another_device_is_named(name):
    network, x, y = problem(2)
    if name != "divergence_pgd":  # it takes no labels
        with pytest.raises(InputError, match=r"x is on cpu, y on meta: move one"):
            attack(name, network, x, y.to("meta"))
    with pytest.raises(InputError, match=r"x is on cpu, model on meta: move one"):
        attack(name, network.to("meta"), x, y)


@EVERY
def test_images_may_have_no_bounds(name):
    network, x, y = problem()
    bounds = (-math.inf, math.inf)
    x_adv = attack(name, network, x, y, bounds=bounds)
    assert torch.isfinite(x_adv).all()


@FAST
@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_callers_gradient_mode_changes_nothing(name, context):
    network, x, y = problem()
    torch.manual_seed(1)
    expected = attack(name, network, x, y)
    torch.manual_seed(1)
    with context():
        enabled = torch.is_grad_enabled()
        found = attack(name, network, x.clone(), y.clone())
        assert torch.is_grad_enabled() == enabled
    assert torch.equal(found, expected)


@FAST
def test_the_default_type_of_the_process_changes_nothing(name):
    network, x, y = problem()
    network, x = network.float(), x.float()
    found = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            torch.manual_seed(1)
            found.append(attack(name, network, x, y))
        finally:
            torch.set_default_dtype(torch.float32)
    assert torch.equal(*found)


@FAST
@NORMS
def test_the_layout_of_the_images_in_memory_changes_nothing(name, norm):
    if norm != math.inf and name == "autoattack":
        pytest.skip("slow, and it uses its own seed")
    network, x, y = problem(channels=3)
    network, x = network.float(), x.float()
    layouts = {
        "contiguous": x,
        "channels last": x.to(memory_format=torch.channels_last),
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
        "images last": x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
        "a slice": torch.cat([x, x], 3)[..., :8],
    }
    found = {}
    for layout, images in layouts.items():
        torch.manual_seed(1)
        found[layout] = attack(name, network, images, y, norm=norm)
    for layout, images in found.items():
        assert torch.equal(images, found["contiguous"]), layout


@FAST
def test_weights_may_be_in_channels_last_order(name):
    network, x, y = problem(channels=3)
    network, x = network.float(), x.float()
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(1)
        found.append(attack(name, network.to(memory_format=layout), x, y))
    # Sums are in another order: a few pixels may have another sign.
    assert ((found[0] - found[1]).abs() < 1e-5).float().mean() > 0.9


class NotFinite(nn.Module):
    """A network with a logit, or the gradient of an image, that is not finite."""

    def __init__(self, kind):
        super().__init__()
        self.network, self.kind = conv_network(classes=5), kind

    def forward(self, x):
        logits = self.network(x)
        if self.kind == "gradient":  # the slope of the square root at 0 is infinite; times 0, NaN
            return logits * (1 + (x[:, 0, 0, :1] * 0).sqrt())
        bad = torch.full_like(logits, float(self.kind))
        return torch.where(torch.arange(len(x))[:, None] == len(x) // 2, bad, logits)


@FAST
@NORMS
@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "gradient"])
def test_logits_and_gradients_that_are_not_finite_are_named(name, norm, kind):
    if kind == "gradient" and name == "square":
        pytest.skip("it uses no gradient")
    _, x, y = problem()
    message = "gradient with respect to image" if kind == "gradient" else "gives a logit of"
    with pytest.raises(NotFiniteError, match=message):
        attack(name, NotFinite(kind), x, y, norm=norm)


@pytest.mark.parametrize("name", ["pgd", "sensible", "fgsm", "margin_pgd", "divergence_pgd"])
@NORMS
def test_without_value_checks_a_nan_propagates_to_the_images(name, norm):
    _, x, y = problem()
    with skip_value_checks():
        assert attack(name, NotFinite("gradient"), x, y, norm=norm).isnan().any()


@FAST
def test_a_saturated_network_has_gradients_of_zero_and_no_error(name):
    network, x, y = problem()
    with torch.no_grad():
        network[5].weight.mul_(1e6)
    assert torch.isfinite(attack(name, network, x, y)).all()


@FAST
@NORMS
def test_no_image_is_an_empty_batch(name, norm):
    network, x, y = problem()
    assert attack(name, network, x[:0], y[:0], eps=RADII[norm], norm=norm).shape == x[:0].shape


@IN_THE_BALL
def test_a_radius_for_each_image_is_used_or_refused(name):
    network, x, y = problem()
    eps = torch.full((len(x),), 0.1, dtype=x.dtype)
    if get_type_hints(ATTACKS[name][0])["eps"] is float:
        with pytest.raises(InputError, match="eps must be one number for all images"):
            attack(name, network, x, y, eps=eps)
    else:
        x_adv = attack(name, network, x, y, eps=eps)
        assert ((x_adv - x).abs() <= 0.1 + 1e-9).all()
