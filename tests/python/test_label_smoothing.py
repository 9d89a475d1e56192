"""Label smoothing: the label of an image is class k with weight a / K, and its own class with
1 - a more. Every loss is linear in the labels, so the smoothed loss is a sum of plain ones."""

from dataclasses import replace

import pytest
import torch

from networks import conv_network, images_and_labels
from sense.config import Config
from sense.config.options import used_by
from sense.methods import Batch, build_method

A, CLASSES = 0.2, 3


def parts(method, smoothing=0.0, seed=2):
    """A method, a network without dropout and the examples of a batch."""
    config = Config(
        method=method, c=0.4, eps=0.1, step_size=0.04, steps=3, label_smoothing=smoothing
    )
    network = conv_network(CLASSES)
    network[3].p = 0.0
    network[6].factor = 2.0
    x, y = images_and_labels(network, 20, 1, 8, 8)
    built = build_method(config, 20)
    torch.manual_seed(seed)
    return built, network, built.examples(network, Batch(x, y, torch.arange(20)), 0)


def test_the_smoothed_cross_entropy_is_that_of_the_smoothed_labels():
    method, network, examples = parts("nt", A)
    log_p = network(examples.x).log_softmax(1)
    losses = []
    for image, label in enumerate(examples.y.tolist()):
        target = [A / CLASSES + (1 - A) * (k == label) for k in range(CLASSES)]
        losses.append(-sum(target[k] * log_p[image, k] for k in range(CLASSES)))
    torch.testing.assert_close(method.loss(network, examples), sum(losses) / len(losses))


@pytest.mark.parametrize("name", used_by("label_smoothing"))
def test_the_loss_is_the_mean_over_the_smoothed_labels(name):
    method, network, examples = parts(name, A)
    plain, _, _ = parts(name)
    own = plain.loss(network, examples)
    each = [
        plain.loss(network, replace(examples, y=torch.full_like(examples.y, k)))
        for k in range(CLASSES)
    ]
    found = method.loss(network, examples)
    torch.testing.assert_close(found, (1 - A) * own + A / CLASSES * sum(each))
    assert not torch.isclose(found, own)


@pytest.mark.parametrize("name", used_by("label_smoothing"))
def test_the_attack_takes_the_labels_as_they_are(name):
    smoothed, plain = parts(name, A)[2], parts(name)[2]
    assert torch.equal(smoothed.x_adv, plain.x_adv)
    assert torch.equal(smoothed.y, plain.y)
    if plain.stages is not None:
        assert torch.equal(smoothed.stages, plain.stages)
        assert len(plain.stages.unique()) > 1
