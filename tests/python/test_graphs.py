"""Recorded functions, with a recorder that works on a CPU; test_cuda.py has the real one."""

import copy
import gc
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv_network
from recorders import EagerRecorder, recorded
from sense import training_setup
from sense.attacks.modes import attack_mode
from sense.graphs import Graphs, graphs_of
from sense.precision import graphed
from sense.train import fit


def images(n=6):
    return torch.rand(n, 1, 8, 8, dtype=torch.float64)


def labels(n=6):
    return torch.arange(n) % 3


def pair():
    """The same network as it is and with recorded passes."""
    plain = conv_network()
    return plain, recorded(copy.deepcopy(plain))


def notes_of(network):
    found = graphed(network, EagerRecorder())
    notes = []
    found.graphs.record_at, found.graphs.note = 1, notes.append
    return found, notes


# A function of tensors


def test_a_function_is_recorded_once_for_each_kind_and_shape():
    network, calls = conv_network(), []
    graphs = Graphs(network, EagerRecorder())

    def double(x):
        calls.append(len(x))
        return (2 * x,)

    for n in (3, 3, 3, 5, 5, 3):
        x = torch.rand(n)
        assert torch.equal(graphs.run("double", double, x)[0], 2 * x)
    assert [len(graph.inputs[0]) for graph in graphs.recorded.values()] == [3, 5]
    x = torch.rand(3)
    assert torch.equal(graphs.run("triple", lambda x: (3 * x,), x)[0], 3 * x)
    assert len(graphs.recorded) == 2  # its first use


def test_results_can_be_the_next_inputs():
    graphs = Graphs(conv_network(), EagerRecorder(), record_at=1)
    z, total = torch.ones(4), torch.zeros(4)
    for _ in range(5):
        z, total = graphs.run("grow", lambda z, total: (2 * z, total + z), z, total)
    assert z.tolist() == [32.0] * 4
    assert total.tolist() == [31.0] * 4


def test_a_function_with_gradients_inside_gives_those_of_an_eager_call():
    network, x, y = conv_network().eval(), images(), labels()
    graphs = Graphs(network, EagerRecorder(), record_at=1)

    def step(z, y):
        z = z.detach().requires_grad_()
        loss = F.cross_entropy(network(z), y, reduction="none")
        (gradient,) = torch.autograd.grad(loss.sum(), z)
        return gradient, loss

    for _ in range(3):
        x = images()
        for found, expected in zip(graphs.run("step", step, x, y), step(x, y), strict=True):
            assert torch.equal(found, expected)
            assert not found.requires_grad


# A network


@pytest.mark.parametrize("training", [False, True])
def test_passes_without_gradients_are_those_of_the_network(training):
    plain, network = pair()
    plain.train(training), network.train(training)
    for n in (6, 6, 2, 6):
        x = images(n)
        torch.manual_seed(1)
        expected = plain(x).detach()
        torch.manual_seed(1)
        with torch.no_grad():
            assert torch.equal(network(x), expected)
    for found, expected in zip(network.buffers(), plain.buffers(), strict=True):
        assert torch.equal(found, expected)


def test_training_gives_the_same_weights_buffers_and_random_numbers():
    """With dropout and batch norm; the optimizer changes the weights in place between replays."""
    plain, network = pair()
    results = []
    for one in (plain, network):
        torch.manual_seed(1)
        one.train()
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(one(images()), labels()).backward()
            optimizer.step()
        results.append([*one.parameters(), *one.buffers(), torch.rand(3)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert network.graphs.recorder.replays == 10


def test_several_passes_may_wait_for_their_backward_pass():
    """As in TRADES: each pass has activations of its own."""
    plain, network = pair()
    one, two = images(), images()
    gradients = []
    for model in (plain, network):
        model.eval()
        loss = (model(one) * model(two).sigmoid()).sum() + model(one).pow(2).sum()
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert len(network.graphs.recorded) == 3


def test_a_pass_without_a_backward_pass_is_free_again():
    _, network = pair()
    for _ in range(6):
        network(images())
        gc.collect()
    assert len(network.graphs.recorded) == 1


def test_a_pass_may_have_several_backward_passes():
    """As in DeepFool: a gradient for each class."""
    plain, network = pair()
    x = images().requires_grad_()
    with attack_mode(plain, "evaluation"), attack_mode(network, "evaluation"):
        first, second = plain(x), network(x)
        for k in range(3):
            (expected,) = torch.autograd.grad(first[:, k].sum(), x, retain_graph=True)
            (found,) = torch.autograd.grad(second[:, k].sum(), x, retain_graph=True)
            assert torch.equal(found, expected)


def test_a_second_backward_pass_after_the_next_forward_pass_is_an_error():
    _, network = pair()
    x = images()
    first = network(x).sum()
    first.backward(retain_graph=True)
    network(x).sum().backward()
    with pytest.raises(RuntimeError, match="use cuda_graphs off"):
        first.backward()


def test_in_an_attack_only_images_have_gradients():
    _, network = pair()
    x = images().requires_grad_()
    with attack_mode(network, "evaluation"):
        network(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in network.parameters())
    network(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_hooks_of_parameters_run_once():
    _, network = pair()
    seen = []
    weight = next(network.parameters())
    weight.register_hook(lambda gradient: seen.append(gradient.clone()))
    for _ in range(3):
        network(images()).sum().backward()
    assert len(seen) == 3


def test_a_frozen_parameter_has_no_gradient_from_then_on():
    _, network = pair()
    network(images()).sum().backward()
    first, *others = network.parameters()
    first.requires_grad_(False)
    network.zero_grad()
    network(images()).sum().backward()
    assert first.grad is None
    assert all(p.grad is not None for p in others)


@pytest.mark.parametrize("change", ["load_state_dict", "data"])
def test_other_weights_are_seen(change):
    """`load_state_dict` writes in place; new memory is noticed, and passes are recorded again."""
    _, network = pair()
    other, x = conv_network(seed=5).eval(), images()
    with torch.no_grad():
        network.eval()(x)
        if change == "load_state_dict":
            network.network.load_state_dict(other.state_dict())
        else:
            for (_, mine), value in zip(
                network.network.named_parameters(), other.parameters(), strict=True
            ):
                mine.data = value.detach().clone()
            for mine, value in zip(network.buffers(), other.buffers(), strict=True):
                mine.copy_(value)
        assert torch.equal(network(x), other(x))
    assert network.graphs.recorder.records == (1 if change == "load_state_dict" else 2)


def test_recording_leaves_random_numbers_and_buffers_as_they_were():
    torch.manual_seed(0)
    network, _ = notes_of(conv_network().train())
    buffers = [buffer.clone() for buffer in network.buffers()]
    states = torch.get_rng_state(), random.getstate()
    graph = network.graphs
    with torch.no_grad(), graph._recording():
        network.network(images())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), buffers, strict=True))


def test_a_copy_is_a_copy_of_the_network():
    plain, network = pair()
    other = copy.deepcopy(network)
    assert graphs_of(other) is None
    assert graphs_of(network) is network.graphs
    assert torch.equal(other.eval()(x := images()), plain.eval()(x))


class Reads(nn.Module):
    """Its path depends on the images."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x if x.mean() > 0.5 else -x)


class Counts(Reads):
    """Its path depends on the number of calls."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) if self.calls % 2 else self.layer(-x)


class Masks(Reads):
    def forward(self, x):
        return self.layer(torch.where((x > 2).any(), x, x))[:, [True, True, True]] + x[x > 2].sum()


class Draws(Reads):
    def forward(self, x):
        return self.layer(x) * float(random.random() < 2)


class DrawsByNumpy(Reads):
    def forward(self, x):
        return self.layer(x) * float(np.random.rand() < 2)


class Fails(Reads):
    def forward(self, x):
        if torch.utils._python_dispatch._get_current_dispatch_mode() is not None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much\nMore text")
        return self.layer(x)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Reads, "Python reads values of a tensor"),
        (Masks, "Python reads values of a tensor"),
        (Counts, "two calls with the same images did different operations"),
        (Draws, "random numbers outside of the device"),
        (DrawsByNumpy, "random numbers outside of the device"),
        (Fails, "CUDA out of memory"),
    ],
)
def test_what_cannot_be_recorded_is_computed_as_usual_with_one_note(kind, reason):
    torch.manual_seed(0)
    network, notes = notes_of(kind())
    for n in (4, 4, 6):
        x = torch.rand(n, 4)
        if kind is not Counts:
            assert torch.equal(network(x), network.network(x))
        network(x).sum().backward()
        with torch.no_grad():
            network(x)
    assert len(notes) == 1
    assert reason in notes[0]
    assert notes[0].startswith("a pass of the network is not run as a CUDA graph: ")
    assert not network.graphs.recorded


def test_there_are_at_most_so_many_graphs(monkeypatch):
    monkeypatch.setattr("sense.graphs.LIMIT", 3)
    _, network = pair()
    with torch.no_grad():
        for n in range(2, 9):
            assert network.eval()(images(n)).shape == (n, 3)
    assert len(network.graphs.recorded) == 3


def test_an_error_of_the_function_itself_is_raised():
    network, notes = notes_of(nn.Linear(4, 3))
    with torch.no_grad(), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        network(torch.rand(2, 5))
    assert len(notes) == 1


# Training


@pytest.mark.parametrize(
    "change",
    [
        {"method": "nt"},
        {"method": "r-at"},
        {"method": "trades"},
        {"method": "mart"},
        {"method": "iaat", "warmup": 0, "attack_mode": "published"},
        {"method": "n-fgsm"},
        {"method": "free", "replays": 2},
        {"method": "mma"},
        {"method": "r-at", "awp": 0.01},
        {"method": "trades", "awp": 0.01},
        {"method": "r-at", "ema": 0.9},
        {"method": "sense"},
        {"method": "sense", "boundary": "bisect", "random_start": True},
        {"method": "sense-trades", "awp": 0.01},
    ],
    ids=str,
)
def test_a_run_in_graphs_is_the_eager_run(tmp_path, few, tiny, monkeypatch, change):
    """To the bit, except for sense, whose eager attack has batches of other sizes."""
    config = replace(tiny, epochs=1, **change)
    eager = fit(config, tmp_path / "eager", data=few)
    networks = []

    def prepare(network, *options):
        networks.append(recorded(network, record_at=2))
        networks[-1].graphs.compacts = True
        return networks[-1]

    monkeypatch.setattr(training_setup, "prepare", prepare)
    model = fit(config, tmp_path / "graphs", data=few)
    assert networks[0].graphs.recorder.replays > 10
    for (name, found), expected in zip(
        model.state_dict().items(), eager.state_dict().values(), strict=True
    ):
        if "sense" in config.method:
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
        else:
            assert torch.equal(found, expected), name
