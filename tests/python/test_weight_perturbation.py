"""Adversarial weight perturbation, against a literal version with a copy of the network that takes
a step of gradient ascent, as in the paper."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import reference_methods as literal
from networks import conv_network, images_and_labels
from recorders import recorded
from sense.attacks.modes import attack_mode
from sense.checkpoint import load_checkpoint
from sense.config import Config
from sense.errors import InputError, NotFiniteError
from sense.methods import METHODS, Batch, Examples, Method, Step, TwoPartMethod, build_method
from sense.precision import MixedPrecision
from sense.train import fit
from sense.weight_perturbation import (
    PerturbedWeights,
    kept_statistics,
    move_weights,
    perturbed_parameters,
    restored_weights,
)

GAMMA, N = 0.03, 20
BASE = Config(c=0.5, eps=0.05, step_size=0.02, steps=3, beta=5.0)


def mean(values):
    return sum(values) / len(values)


def ce(network, images, y):
    return mean(literal.cross_entropies(network(images), y))


def trades(network, e):
    natural = ce(network, e.x, e.y)
    q, p = (literal.probabilities(network(images)) for images in (e.x_adv, e.x))
    return natural + 5 * mean([literal.kl(p[i], q[i]) for i in range(N)])


def mart(network, e):
    p, q = (literal.probabilities(network(images)) for images in (e.x, e.x_adv))
    losses = []
    for i in range(N):
        others = [q[i, k] for k in range(3) if k != e.y[i]]
        boosted = -torch.log(q[i, e.y[i]]) - torch.log(1.0001 - max(others) + 1e-12)
        divergence = sum(
            p[i, k] * (torch.log(p[i, k]) - torch.log(q[i, k] + 1e-12)) for k in range(3)
        )
        losses.append(boosted + 5 * divergence * (1.0000001 - p[i, e.y[i]]))
    return mean(losses)


def mma(network, e):
    natural = ce(network, e.x, e.y)
    losses = literal.cross_entropies(network(e.x_adv), e.y)
    kept = [loss for loss, counts in zip(losses, e.counted, strict=True) if counts]
    return (1 - 1 / 3) * sum(kept) / N + natural / 3


def sense_trades(network, e):
    logits = network(e.x)
    p, q = literal.probabilities(logits), literal.probabilities(network(e.x_adv))
    divergence = mean([literal.kl(p[i], q[i]) for i in range(N)])
    return divergence + mean(literal.cross_entropies(logits, e.y))


def on_adversarial_images(network, e):
    return ce(network, e.x_adv, e.y)


LOSSES = {
    "nt": lambda network, e: ce(network, e.x, e.y),
    "trades": trades,
    "mart": mart,
    "mma": mma,
    "sense-trades": sense_trades,
}


def literal_awp(network, loss, gamma):
    """The loss at the perturbed weights, its gradients there, and the network there. The proxy
    takes a step of SGD on minus the loss; each matrix moves by gamma times its own norm, in the
    direction of the proxy's."""
    proxy, moved = copy.deepcopy(network), copy.deepcopy(network)
    optimizer = torch.optim.SGD(proxy.parameters(), lr=0.01)
    (-loss(proxy)).backward()
    optimizer.step()
    with torch.no_grad():
        for w, other, there in zip(
            network.parameters(), proxy.parameters(), moved.parameters(), strict=True
        ):
            if w.dim() > 1:
                difference = other - w
                size = gamma * w.square().sum().sqrt() / difference.square().sum().sqrt()
                there.copy_(w + size * difference)
    value = loss(moved)
    return value, torch.autograd.grad(value, list(moved.parameters())), moved


def batch_for(network):
    x, y = images_and_labels(network, N, 1, 8, 8)
    return Batch(x, y, torch.arange(N))


def two_part(name):
    return build_method(replace(BASE, method=name), N)


TWO_PART = [name for name in METHODS if name != "free"]  # refused


@pytest.mark.parametrize("name", TWO_PART)
def test_loss_gradients_weights_and_statistics_follow_the_paper(name):
    network = conv_network()
    network[6].factor = 5.0
    batch = batch_for(network)
    frozen = copy.deepcopy(network)
    frozen[1].momentum = 0.0  # its running statistics stay as they are
    torch.manual_seed(4)
    examples = two_part(name).examples(frozen, batch, 0)
    loss = LOSSES.get(name, on_adversarial_images)
    value, gradients, there = literal_awp(network, lambda net: loss(net, examples), GAMMA)

    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(4)
    with restored_weights(perturbed_parameters(network)):
        step = PerturbedWeights(two_part(name), GAMMA)(network, batch, 0)
        for found, expected in zip(network.parameters(), there.parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        step.loss.backward()
    torch.testing.assert_close(step.loss, value, rtol=1e-9, atol=1e-9)
    for parameter, expected in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-7, atol=1e-8)
    for found, expected in zip(network.buffers(), there.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for parameter_name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[parameter_name])


@pytest.mark.parametrize("name", TWO_PART)
def test_the_perturbation_increases_the_loss_by_the_same_examples(name):
    network = conv_network()
    network[3].p = 0.0
    network[6].factor = 2.0
    batch = batch_for(network)
    frozen = copy.deepcopy(network)
    frozen[1].momentum = 0.0
    torch.manual_seed(4)
    plain = two_part(name)(frozen, batch, 0)
    torch.manual_seed(4)
    moved = PerturbedWeights(two_part(name), GAMMA)(network, batch, 0)
    assert moved.loss > plain.loss * 1.01
    assert plain.means.keys() == moved.means.keys()
    for key, values in plain.means.items():
        torch.testing.assert_close(moved.means[key], values, equal_nan=True)
    if plain.stages is not None:
        assert torch.equal(moved.stages, plain.stages)


@pytest.mark.parametrize("name", ["mma", "iaat", "r-at"])
def test_attacks_that_update_statistics_do_so_once(name):
    config = replace(BASE, method=name, attack_mode="published")
    network, twin = conv_network(), conv_network()
    batch = batch_for(network)
    method = build_method(config, N)
    examples = method.examples(twin, batch, 20)
    own_pass = examples.natural_logits is not None
    method.loss(twin, examples)
    PerturbedWeights(build_method(config, N), GAMMA)(network, batch, 20)
    assert int(network[1].num_batches_tracked) == int(twin[1].num_batches_tracked)
    passes = {"mma": 2, "iaat": 1, "r-at": 1}[name]
    assert own_pass == (name == "mma")
    assert int(network[1].num_batches_tracked) > 5 + passes


def test_kept_statistics_are_those_before_except_in_attacks():
    network = conv_network()
    before = [buffer.clone() for buffer in network.buffers()]
    x = torch.rand(9, 1, 8, 8, dtype=torch.float64)
    with kept_statistics(network):
        first, second = network(x), network(x)  # two passes, then the backward pass of both
        (first.sum() + second.square().sum()).backward()
        assert all(torch.equal(a, b) for a, b in zip(network.buffers(), before, strict=True))
        with attack_mode(network, "updating"):
            network(x)
        assert int(network[1].num_batches_tracked) == int(before[-1]) + 1
    network(x)
    assert int(network[1].num_batches_tracked) == int(before[-1]) + 2


def test_weights_are_restored_after_an_error():
    network = conv_network()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(KeyError), restored_weights(perturbed_parameters(network)):  # noqa: PT012
        PerturbedWeights(two_part("nt"), GAMMA)(network, batch_for(network), 0)
        assert not torch.equal(network[0].weight, before["0.weight"])
        raise KeyError
    assert torch.equal(network[0].weight, before["0.weight"])


def test_a_zero_gradient_moves_nothing_and_a_bad_one_no_weight_at_all():
    weights = [torch.ones(2, 2), torch.ones(3, 1)]
    move_weights(weights, [torch.zeros(2, 2), torch.tensor([[3.0], [0.0], [4.0]])], 0.1)
    assert torch.equal(weights[0], torch.ones(2, 2))
    expected = 1 + 0.1 * 3**0.5 * torch.tensor([[0.6], [0.0], [0.8]])
    torch.testing.assert_close(weights[1], expected)
    for bad in (torch.nan, torch.inf):
        weights = [torch.ones(2, 2), torch.ones(3, 1)]
        move_weights(weights, [torch.ones(2, 2), torch.tensor([[bad], [0.0], [1.0]])], 0.1)
        assert all(torch.equal(weight, torch.ones_like(weight)) for weight in weights)


def test_in_bfloat16_the_perturbation_is_that_of_float32_but_for_rounding():
    gradients = []
    for wrap in (nn.Identity, MixedPrecision):
        network = conv_network().float()
        network[3].p = 0.0
        network[6].factor = 2.0
        x, y, index = batch_for(conv_network())
        called = network if wrap is nn.Identity else wrap(network)
        before = [w.detach().clone() for w in perturbed_parameters(network)]
        step = PerturbedWeights(two_part("nt"), GAMMA)(called, Batch(x.float(), y, index), 0)
        step.loss.backward()
        after = perturbed_parameters(network)
        gradients.append([a.detach() - b for a, b in zip(after, before, strict=True)])
        assert all(p.dtype == p.grad.dtype == torch.float32 for p in network.parameters())
    for one, two in zip(*gradients, strict=True):
        assert torch.cosine_similarity(one.flatten(), two.flatten(), dim=0) > 0.99
        torch.testing.assert_close(one.norm(), two.norm(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["nt", "trades", "sense"])
def test_recorded_passes_see_the_moved_weights(name):
    network = conv_network()
    network[3].p = 0.0
    graphs = recorded(copy.deepcopy(network))
    batch = batch_for(network)
    for _ in range(3):
        found = []
        for called in (network, graphs):
            torch.manual_seed(2)
            called.zero_grad()
            with restored_weights(perturbed_parameters(called)):
                step = PerturbedWeights(two_part(name), GAMMA)(called, batch, 0)
                step.loss.backward()
            found.append([step.loss.detach(), *(p.grad for p in called.parameters())])
        for one, two in zip(*found, strict=True):
            torch.testing.assert_close(one, two)
        for one, two in zip(network.buffers(), graphs.buffers(), strict=True):
            torch.testing.assert_close(one, two)


def linear():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def test_a_training_step_updates_the_restored_weights_by_the_gradient_at_the_moved_ones(
    tmp_path, few, tiny
):
    config = replace(
        tiny,
        method="nt",
        pretrain=0,
        epochs=1,
        batch_size=300,
        momentum=0.9,
        weight_decay=0.01,
        lr=0.1,
        awp=0.1,
    )
    x, y = few.train_x.float() / 255, few.train_y

    def loss(network):
        return nn.functional.cross_entropy(network(x), y)

    _, gradients, _ = literal_awp(linear(), loss, 0.1)
    trained = fit(config, tmp_path, data=few, model=linear())
    for w, gradient, found in zip(
        linear().parameters(), gradients, trained.parameters(), strict=True
    ):
        torch.testing.assert_close(found, w - 0.1 * (gradient + 0.01 * w))


def test_awp_starts_after_pretraining_and_its_warmup(tmp_path, few, tiny):
    states = {}
    for name, change in {"plain": {}, "awp": {"awp": 0.05, "awp_warmup": 1}}.items():
        config, states[name] = replace(tiny, method="r-at", **change), []

        def keep(line, name=name):
            states[name].append(load_checkpoint(tmp_path / name)["model"])

        fit(config, tmp_path / name, data=few, on_epoch=keep)
    equal = [
        all(torch.equal(one[key], two[key]) for key in one)
        for one, two in zip(*states.values(), strict=True)
    ]
    assert equal == [True, True, False]


def test_a_gradient_that_is_not_finite_is_reported_as_without_awp(tmp_path, few, tiny):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.passes = linear(), 0

        def forward(self, x):
            logits = self.layer(x)
            if self.training and x.shape[0] > 2:
                logits = logits + (logits * 0).sqrt()  # 0 with the gradient NaN
            return logits

    config = replace(tiny, method="nt", pretrain=0, awp=0.05)
    with pytest.raises(NotFiniteError, match=r"the gradient of layer\.1\.weight is NaN"):
        fit(config, tmp_path / "run", data=few, model=Broken())


class Own(TwoPartMethod):
    """Natural training, as a user would write it."""

    def examples(self, model, batch, epoch):
        return Examples(batch.x, batch.y, batch.x)

    def loss(self, model, examples):
        return self.cross_entropy(model(examples.x), examples.y)


def test_a_class_of_the_users_own_in_two_parts_can_be_used(tmp_path, few, tiny):
    config = replace(tiny, pretrain=0, epochs=1, awp=0.05, label_smoothing=0.1)
    for name, method in {"nt": "nt", "own": Own}.items():
        fit(replace(config, method=method), tmp_path / name, data=few, model=linear())
    one, two = (load_checkpoint(tmp_path / name)["model"] for name in ("nt", "own"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_methods_and_networks_without_a_perturbation_are_refused(tmp_path, few, tiny, monkeypatch):
    class OnePart(Method):
        def __call__(self, model, batch, epoch):
            return Step(model(batch.x).sum())

    class Scales(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(10))

        def forward(self, x):
            return x.flatten(1)[:, :10] * self.scale

    config = replace(tiny, method="nt", awp=0.05)
    with pytest.raises(InputError, match="without a parameter of two or more dimensions"):
        fit(config, tmp_path / "run", data=few, model=Scales())
    monkeypatch.setattr("sense.training_setup.build_method", lambda config, *_: OnePart(config))
    with pytest.raises(InputError, match="awp must be 0 with nt, whose loss cannot be computed"):
        fit(config, tmp_path / "run", data=few)
    assert not (tmp_path / "run").exists()
