"""Every method against its equation written out: the loss, and its gradient in each parameter, on
a random network with batch norm and dropout. `python tests/python/test_reference_methods.py` prints
the largest differences."""

import copy
from dataclasses import replace

import pytest
import torch

import reference
import reference_methods as literal
from networks import conv_network, images_and_labels
from sense.config import Config
from sense.methods import Batch, build_method

ATTACK = {"eps": 0.03, "step_size": 0.01, "steps": 4}
BASE = Config(**ATTACK, pretrain=0)
N, TRAINING_SET, SEED = 24, 50, 3
POSITION = torch.randperm(TRAINING_SET, generator=torch.Generator().manual_seed(1))[:N]
STORED = (
    torch.rand(TRAINING_SET, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 0.05
)
MARGINS = {"d_max": 0.05, "eps_min": 0.01}


def stored():
    return [float(STORED[i]) for i in POSITION]


def mean_ce(network, images, y):
    return sum(literal.cross_entropies(network(images), y)) / len(y)


def r_at(network, x, y):
    draw = torch.empty_like(x).uniform_(-0.03, 0.03)
    start = (x + draw).clamp(0, 1)
    return mean_ce(
        network, reference.pgd(network, x, y, norm=float("inf"), start=start, **ATTACK), y
    )


def sense(network, x, y):
    return mean_ce(
        network, reference.sensible(network, x, y, c=0.6, norm=float("inf"), **ATTACK).x_adv, y
    )


def mma(norm, eps_scale=1.0, **options):
    def loss(network, x, y):
        sizes = {name: value * eps_scale for name, value in MARGINS.items()}
        return literal.mma(
            network, x, y, stored(), steps=4, norm=norm, natural_part=1 / 3, **sizes, **options
        )[0]

    return loss


def iaat(epoch, **options):
    def loss(network, x, y):
        return literal.iaat(
            network, x, y, stored(), epoch, warmup=2, gamma=0.01, rate=0.3, **ATTACK, **options
        )[0]

    return loss


def one_step(noise, step, eps, norm="inf", **options):
    def loss(network, x, y):
        return literal.one_step(
            network, x, y, noise=noise, step=step, eps=eps, norm=norm, **options
        )

    return loss


CASES = {
    "nt": (replace(BASE, method="nt"), 0, mean_ce),
    "r-at": (replace(BASE, method="r-at"), 0, r_at),
    "sense": (replace(BASE, method="sense", c=0.6), 0, sense),
    "trades": (
        replace(BASE, method="trades", beta=6.0),
        0,
        lambda *batch: literal.trades(*batch, beta=6.0, norm="inf", **ATTACK),
    ),
    "trades, l2": (
        replace(BASE, method="trades", beta=6.0, norm="2", eps=0.2),
        0,
        lambda *batch: literal.trades(*batch, beta=6.0, norm="2", **{**ATTACK, "eps": 0.2}),
    ),
    "mart": (
        replace(BASE, method="mart", beta=5.0),
        0,
        lambda *batch: literal.mart(*batch, beta=5.0, **ATTACK),
    ),
    "mma": (replace(BASE, method="mma", **MARGINS), 0, mma("inf")),
    "mma, l2": (
        replace(BASE, method="mma", norm="2", d_max=0.25, eps_min=0.05),
        0,
        mma("2", 5.0),
    ),
    "mma, as published": (
        replace(BASE, method="mma", attack_mode="published", **MARGINS),
        0,
        mma("inf", search_in_training=True),
    ),
    "iaat, warm-up": (
        replace(BASE, method="iaat", warmup=2, gamma=0.01, radius_rate=0.3),
        1,
        iaat(1),
    ),
    "iaat": (replace(BASE, method="iaat", warmup=2, gamma=0.01, radius_rate=0.3), 2, iaat(2)),
    "iaat, as published": (
        replace(
            BASE, method="iaat", warmup=2, gamma=0.01, radius_rate=0.3, attack_mode="published"
        ),
        2,
        iaat(2, in_training=True),
    ),
    "sense-trades": (
        replace(BASE, method="sense-trades", c=0.6),
        0,
        lambda *batch: literal.sense_trades(*batch, c=0.6, natural_weight=1.0, **ATTACK),
    ),
    "fgsm-rs": (replace(BASE, method="fgsm-rs"), 0, one_step(0.03, 1.25 * 0.03, 0.03)),
    "fgsm-rs, l2": (
        replace(BASE, method="fgsm-rs", norm="2", eps=0.2, fgsm_step=0.3),
        0,
        one_step(0.2, 0.3, 0.2, norm="2"),
    ),
    "fgsm-rs, as published": (
        replace(BASE, method="fgsm-rs", attack_mode="published"),
        0,
        one_step(0.03, 1.25 * 0.03, 0.03, in_training=True),
    ),
    "n-fgsm": (replace(BASE, method="n-fgsm"), 0, one_step(0.06, 0.03, None)),
    "n-fgsm, l2": (
        replace(BASE, method="n-fgsm", norm="2", eps=0.2, noise_scale=1.5),
        0,
        one_step(0.3, 0.2, None, norm="2"),
    ),
    "n-fgsm, as published": (
        replace(BASE, method="n-fgsm", attack_mode="published"),
        0,
        one_step(0.06, 0.03, None, in_training=True),
    ),
}


def differences(name):
    """The largest difference of the loss, of its gradient in any parameter, and of any buffer
    (relative to the largest entry)."""
    config, epoch, loss = CASES[name]
    fast, slow = conv_network(), conv_network()
    x, y = images_and_labels(fast, N, 1, 8, 8)
    method = build_method(config, TRAINING_SET)
    if method.state_dict():
        method.load_state_dict({"values": STORED, "updates": torch.zeros(TRAINING_SET).long()})

    torch.manual_seed(SEED)
    found = method(fast, Batch(x, y, POSITION), epoch).loss
    torch.manual_seed(SEED)
    expected = loss(slow, x, y)
    gradients = torch.autograd.grad(found, list(fast.parameters()))
    literals = torch.autograd.grad(expected, list(slow.parameters()))
    gradient = max(float((a - b).abs().max()) for a, b in zip(gradients, literals, strict=True))
    buffers = max(
        float((a - b).abs().max() / b.abs().max().clamp_min(1))
        for a, b in zip(fast.buffers(), slow.buffers(), strict=True)
    )
    return (found - expected).abs().item(), gradient, buffers, expected.item()


@pytest.mark.parametrize("name", CASES)
def test_loss_gradients_and_statistics_follow_the_equations(name):
    value, gradient, buffers, loss = differences(name)
    assert loss > 0.05
    assert max(value, gradient, buffers) < 1e-9


@pytest.mark.parametrize("name", ["mma", "iaat, warm-up", "iaat"])
def test_the_state_per_image_follows_the_equations(name):
    config, epoch, _ = CASES[name]
    network = conv_network()
    x, y = images_and_labels(network, N, 1, 8, 8)
    method = build_method(config, TRAINING_SET)
    method.load_state_dict({"values": STORED, "updates": torch.zeros(TRAINING_SET).long()})
    torch.manual_seed(SEED)
    method(copy.deepcopy(network), Batch(x, y, POSITION), epoch)
    torch.manual_seed(SEED)
    if name == "mma":
        _, new = literal.mma(
            network, x, y, stored(), steps=4, norm="inf", natural_part=1 / 3, **MARGINS
        )
    else:
        _, new = literal.iaat(
            network, x, y, stored(), epoch, warmup=2, gamma=0.01, rate=0.3, **ATTACK
        )
    expected = STORED.clone()
    expected[POSITION] = torch.tensor(new, dtype=torch.float64)
    torch.testing.assert_close(method.state_dict()["values"], expected, rtol=0, atol=1e-9)
    assert len(set(new)) > 1  # more than one thing happened


if __name__ == "__main__":
    print(f"{'method':<20} {'loss':>9}  largest difference of loss, gradient, statistics")
    for name in CASES:
        value, gradient, buffers, loss = differences(name)
        print(f"{name:<20} {loss:9.4f}  {value:.1e}  {gradient:.1e}  {buffers:.1e}")
