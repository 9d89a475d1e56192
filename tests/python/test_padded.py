"""Passes of attacks as graphs of few sizes give what eager passes give. A recorder on the CPU takes
the place of CUDA graphs."""

import pytest
import torch

from networks import conv_network, images_and_labels
from recorders import EagerRecorder, unexpected
from sense import attacks
from sense.evaluation import preparation as module
from sense.evaluation.evaluate import evaluate
from sense.evaluation.padded import SMALLEST, PaddedPasses, size_limited_by_python, with_graphs
from sense.evaluation.settings import Settings
from sense.runs import load

ATTACKS = {
    "fgsm": (attacks.fgsm, {}),
    "pgd": (attacks.pgd, {"step_size": 0.05, "steps": 8}),
    "margin_pgd": (attacks.margin_pgd, {"step_size": 0.05, "steps": 8}),
    "targeted_pgd": (attacks.targeted_pgd, {"step_size": 0.05, "steps": 8}),
    "deepfool": (attacks.deepfool, {}),
    "square": (attacks.square, {"queries": 60}),
    "autoattack": (attacks.autoattack, {"parts": ["apgd-ce", "fab-t", "square"]}),
}


def padded(network, largest):
    found = PaddedPasses(network, largest, EagerRecorder())
    found.graphed.graphs.note = unexpected
    return found.eval()


@pytest.mark.parametrize("name", [n for n in ATTACKS if n != "autoattack"])
def test_an_attack_finds_the_same_images(name):
    if name == "square":
        pytest.importorskip("pyautoattack")
    network = conv_network().eval()
    x, _ = images_and_labels(network, 21, 1, 8, 8)
    y = network(x).argmax(1)
    attack, options = ATTACKS[name]
    found = []
    for model in (network, padded(network, 32)):
        torch.manual_seed(1)
        found.append(attack(model, x, y, eps=0.05, **options))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-6)
    assert (network(found[0]).argmax(1) != y).any()


@pytest.mark.slow
def test_autoattack_finds_the_same_images():
    pytest.importorskip("pyautoattack")
    network = conv_network().eval()
    x, _ = images_and_labels(network, 5, 1, 8, 8)
    y = network(x).argmax(1)
    attack, options = ATTACKS["autoattack"]
    found = [attack(m, x, y, eps=0.05, **options) for m in (network, padded(network, 8))]
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-5)


def test_few_sizes_are_recorded_and_large_batches_are_not():
    network = conv_network().eval()
    model = padded(network, 16)
    x, _ = images_and_labels(network, 40, 1, 8, 8)
    for n in (40, 17, 16, 15, 9, 8, 5, 5, 40, 3, 2, 1):
        with torch.no_grad():
            torch.testing.assert_close(model(x[:n]), network(x[:n]))
    recorder = model.graphed.graphs.recorder
    assert recorder.records == 2  # 16, at its second use, and 8; 4, 2 and 1 were used once
    assert recorder.replays == 2 + 2


def test_the_gradient_of_an_image_does_not_include_its_copies():
    network = conv_network().eval()
    x, _ = images_and_labels(network, 5, 1, 8, 8)
    for _ in range(3):
        found = []
        for model in (network, padded(network, 8)):
            z = x.clone().requires_grad_()
            found.append(torch.autograd.grad(model(z)[:, 0].sum(), z)[0])
        torch.testing.assert_close(*found)


@pytest.mark.parametrize(
    ("cost", "limit", "expected"),
    [
        (lambda n: 1.0, 500, 128),  # the next size, 256, is more than half of the limit
        (lambda n: 1.0 if n <= 64 else n / 64, 10**6, 64),
        (lambda n: n, 10**6, 0),  # no pass is limited by Python
        (lambda n: 1.0, 2 * SMALLEST - 1, 0),
    ],
)
def test_graphs_are_for_sizes_that_take_no_longer_than_small_ones(cost, limit, expected):
    x = torch.zeros(1, 1, 2, 2)
    assert size_limited_by_python(None, x, limit, lambda network, x: cost(len(x))) == expected


def test_on_a_processor_the_network_is_used_as_it_is():
    network = conv_network()
    assert with_graphs(network, torch.zeros(1, 1, 8, 8), 1000) is network


def test_an_evaluation_in_graphs_has_the_same_outcomes(trained, monkeypatch):
    folder, data = trained
    settings = Settings(
        attacks=("fgsm", "pgd", "targeted-pgd", "deepfool"), eps=0.08, n=60, steps=4, restarts=2
    )
    expected = evaluate(load(folder), data.test_x, data.test_y, settings)
    recorder = EagerRecorder()

    def in_graphs(network, x, batch):
        return with_graphs(network, x, 4 * 64 * 2, lambda network, x: 1.0, recorder)

    monkeypatch.setattr(module, "with_graphs", in_graphs)
    found = evaluate(load(folder), data.test_x, data.test_y, settings)
    assert found.outcomes == expected.outcomes
    assert recorder.replays > 50
