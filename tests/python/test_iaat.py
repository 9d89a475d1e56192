from dataclasses import replace

import pytest
import torch
from torch import nn

from networks import conv_network, images_and_labels
from sense.config import Config
from sense.methods import Batch, build_method

CONFIG = Config(
    method="iaat", eps=0.1, step_size=0.02, steps=4, warmup=2, gamma=0.03, radius_rate=0.2
)


class Threshold(nn.Module):
    """Class 0 below a mean of 1/2, class 1 above: a uniform image of grey g is correctly
    classified in each ball of radius less than 1/2 - g."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(10.0, dtype=torch.float64))

    def forward(self, x):
        logit = self.slope * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([-logit, logit], 1)


def greys(*values):
    x = torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return Batch(x.clone(), torch.zeros(len(values)).long(), torch.arange(len(values)))


def after(radii, batch, epoch=2, **change):
    method = build_method(replace(CONFIG, **change), len(radii))
    method.load_state_dict(
        {
            "values": torch.tensor(radii, dtype=torch.float64),
            "updates": torch.zeros(len(radii)).long(),
        }
    )
    step = method(Threshold(), batch, epoch)
    values = method.state_dict()["values"]
    torch.testing.assert_close(step.means["radius"], values)
    return values.tolist()


def test_known_updates():
    """Margins 0.2, 0.12, 0.05 and a misclassified image, all with eps_i = 0.1: the first is
    correctly classified under PGD with radius 0.13, the second only with 0.1, the third with
    neither."""
    expected = [0.1 + 0.2 * 0.03, 0.1, 0.1 - 0.2 * 0.03, 0.8 * 0.1]
    assert after([0.1] * 4, greys(0.3, 0.38, 0.45, 0.6)) == pytest.approx(expected)


def test_a_radius_is_at_least_zero():
    assert after([0.01], greys(0.495)) == pytest.approx([0.8 * 0.01])  # the candidate is 0
    assert after([0.0], greys(0.4999)) == pytest.approx([0.0])


def test_a_radius_has_no_upper_bound_by_default():
    """As in the authors' code, it grows past eps = 0.1."""
    assert after([0.2], greys(0.1)) == pytest.approx([0.206])
    assert after([0.2], greys(0.1), radius_max=0.1) == pytest.approx([0.1])


def test_the_radius_in_the_warm_up_is_eps_for_correct_images():
    assert after([0.03, 0.03], greys(0.3, 0.6), epoch=1) == pytest.approx([0.1, 0.0])


def test_radius_max_is_an_upper_bound_in_the_warm_up_too():
    warm_up = {"epoch": 1, "radius_max": 0.04}
    assert after([0.0, 0.0], greys(0.3, 0.6), **warm_up) == pytest.approx([0.04, 0.0])


def test_radii_are_kept_per_image():
    method = build_method(CONFIG, 10)
    batch = greys(0.3, 0.6, 0.45)._replace(indices=torch.tensor([8, 1, 4]))
    method(Threshold(), batch, 0)
    order = torch.tensor([2, 0, 1])
    method(Threshold(), Batch(*(part[order] for part in batch)), 2)
    values = method.state_dict()["values"]
    # The warm-up gives 0.1 to correctly classified images; then 0.3 grows and 0.45 shrinks.
    assert values[[8, 1, 4]].tolist() == pytest.approx([0.106, 0.0, 0.094])
    assert values[[0, 2, 3, 5, 6, 7, 9]].tolist() == [0.0] * 7
    assert method.state_dict()["updates"].tolist() == [0, 2, 0, 0, 2, 0, 0, 0, 2, 0]


# published: a natural pass, three attacks of 4 steps, two passes of their images, and the loss
@pytest.mark.parametrize(
    ("mode", "passes"), [("evaluation", 1), ("training", 1), ("published", 1 + 12 + 3)]
)
def test_only_the_published_attack_updates_running_statistics(mode, passes):
    network = conv_network()
    x, y = images_and_labels(network, 16, 1, 8, 8)
    before = int(network[1].num_batches_tracked)
    method = build_method(replace(CONFIG, attack_mode=mode), 16)
    method(network, Batch(x, y, torch.arange(16)), 5)
    assert int(network[1].num_batches_tracked) == before + passes
