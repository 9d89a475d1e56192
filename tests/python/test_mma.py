from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv_network, images_and_labels
from sense.config import Config
from sense.methods import Batch, build_method

CONFIG = Config(method="mma", d_max=0.1, eps_min=0.02, steps=5)


class Line(nn.Module):
    """Two classes with logits 0 and a (mean of x - 1/2): the margin of a uniform image of grey g
    and label 0 is 1/2 - g in l-infinity."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(40.0, dtype=torch.float64))

    def forward(self, x):
        logit = self.slope * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([torch.zeros_like(logit), logit], 1)


def greys(*values):
    x = torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return Batch(x.clone(), torch.zeros(len(values)).long(), torch.arange(len(values)))


def test_known_margins_and_loss():
    """0.45 and 0.42 have margins below d_max = 0.1, 0.3 a larger one, 0.6 is misclassified."""
    network, batch = Line(), greys(0.45, 0.42, 0.3, 0.6)
    method = build_method(replace(CONFIG, natural_weight=0.0), 4)
    step = method(network, batch, 0)
    margins = method.state_dict()["values"]
    torch.testing.assert_close(
        margins, torch.tensor([0.05, 0.08, 0.105, 0.0]).double(), rtol=0, atol=2e-4
    )
    torch.testing.assert_close(step.means["margin"], margins)
    at_boundary = torch.log(torch.tensor(2.0)).double()  # p_y = 1/2
    wrong = F.cross_entropy(network(batch.x[3:]), batch.y[3:])
    torch.testing.assert_close(step.loss, (2 * at_boundary + wrong) / 4, rtol=0.02, atol=0)


def test_the_weight_of_the_natural_loss():
    batch = greys(0.45, 0.6)
    network = Line()
    natural = F.cross_entropy(network(batch.x), batch.y)
    losses = [
        build_method(replace(CONFIG, natural_weight=part), 2)(network, batch, 0).loss
        for part in (0.0, None, 1.0)
    ]
    torch.testing.assert_close(losses[2], natural)
    torch.testing.assert_close(losses[1], (2 * losses[0] + natural) / 3, rtol=1e-4, atol=0)


def test_the_radius_of_the_attack_is_the_last_margin(monkeypatch):
    import sense.methods.mma as module

    seen, search = [], module.boundary_points

    def spy(*arguments, eps, **options):
        seen.append(eps.clone())
        return search(*arguments, eps=eps, **options)

    monkeypatch.setattr(module, "boundary_points", spy)
    method, network = build_method(CONFIG, 10), Line()
    batch = greys(0.45, 0.42, 0.495)._replace(indices=torch.tensor([7, 2, 5]))
    method(network, batch, 0)
    order = torch.tensor([2, 0, 1])
    method(network, Batch(*(part[order] for part in batch)), 1)
    torch.testing.assert_close(seen[0], torch.full((3,), 0.02).double())  # eps_min
    # the same images in another order: 0.495 has a margin below eps_min
    torch.testing.assert_close(
        seen[1], torch.tensor([0.02, 0.05, 0.08]).double(), rtol=0, atol=3e-4
    )


@pytest.mark.parametrize(
    ("mode", "passes"), [("evaluation", 2), ("training", 2), ("published", 2 + 11)]
)
def test_only_the_published_search_updates_running_statistics(mode, passes):
    network = conv_network()
    x, y = images_and_labels(network, 16, 1, 8, 8)
    before = int(network[1].num_batches_tracked)
    method = build_method(replace(CONFIG, attack_mode=mode), 16)
    method(network, Batch(x, y, torch.arange(16)), 0)
    assert int(network[1].num_batches_tracked) == before + passes


def test_a_misclassified_batch_gives_natural_training():
    network, batch = Line(), greys(0.7, 0.8)
    loss = build_method(CONFIG, 2)(network, batch, 0).loss
    torch.testing.assert_close(loss, F.cross_entropy(network(batch.x), batch.y))


def test_a_step_moves_the_boundary_away():
    """A step of gradient descent enlarges the margin of images near the boundary."""
    network, batch = Line(), greys(0.45, 0.48)
    bias = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    network.forward = lambda x: Line.forward(network, x) + torch.cat([-bias, bias])
    method = build_method(CONFIG, 2)
    loss = method(network, batch, 0).loss
    (gradient,) = torch.autograd.grad(loss, bias)
    assert gradient.item() > 0  # descent lowers class 1
