"""Shards of a batch in two and three processes, compared with torch's layers on the whole batch."""

import copy

import pytest
import torch
from torch import nn

from processes import together
from sense.attacks.modes import attack_mode
from sense.batch_norm import whole_batch_statistics

LAYERS = {
    "images": (nn.BatchNorm2d(3), (9, 3, 4, 5)),
    "rows": (nn.BatchNorm1d(4), (9, 4)),
    "volumes": (nn.BatchNorm3d(2), (9, 2, 2, 3, 2)),
    "average of all batches": (nn.BatchNorm2d(3, momentum=None), (9, 3, 2, 2)),
    "no scale": (nn.BatchNorm2d(3, affine=False), (9, 3, 2, 2)),
    "no memory": (nn.BatchNorm2d(3, track_running_stats=False), (9, 3, 2, 2)),
}
PARTS = {2: [5, 4], 3: [6, 3, 0]}  # the third process has no image


def problem(name):
    """A layer in float64, two batches of images far from 0, and their weights in the loss."""
    torch.manual_seed(1)
    layer, shape = copy.deepcopy(LAYERS[name][0]).double(), LAYERS[name][1]
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.5, 2)
    return layer, 50 + torch.randn(2, *shape).double(), torch.randn(2, *shape).double()


def descend(layer, x, weights):
    """Outputs, gradients and buffers after two batches."""
    x = x.clone().requires_grad_()
    out = torch.stack([layer(batch) for batch in x])
    (out * weights).sum().backward()
    gradients = {name: p.grad for name, p in layer.named_parameters()}
    return {"out": out.detach(), "x": x.grad, **gradients, **dict(layer.named_buffers())}


def take_part(rank, folder, size):
    images = PARTS[size]
    first = sum(images[:rank])
    rows = slice(first, first + images[rank]) if images[rank] else slice(1)
    answers = {}
    for name in LAYERS:
        layer, x, weights = problem(name)
        with whole_batch_statistics(nn.Sequential(layer), images, rank):
            answers[name] = descend(layer, x[:, rows], weights[:, rows] * bool(images[rank]))
        assert "forward" not in vars(layer)
    torch.save(answers, folder / f"{size}-{rank}.pt")


@pytest.fixture(scope="module", params=PARTS)
def answers(request, tmp_path_factory):
    size, folder = request.param, tmp_path_factory.mktemp("batch-norm")
    together(take_part, size, folder, size)
    return [torch.load(folder / f"{size}-{rank}.pt") for rank in range(size)]


@pytest.mark.parametrize("name", LAYERS)
def test_shards_are_normalised_like_the_whole_batch(answers, name):
    expected, parts = descend(*problem(name)), [answer[name] for answer in answers]
    close = dict(rtol=1e-9, atol=1e-12)
    for key in ("out", "x"):
        whole = torch.cat([part[key] for part in parts[:2]], 1)
        torch.testing.assert_close(whole, expected.pop(key), **close)
    for key, value in expected.items():
        if key in ("weight", "bias"):
            total = sum(part[key] for part in parts)
            torch.testing.assert_close(total, value, **close)
        else:
            for part in parts:
                torch.testing.assert_close(part[key], value, **close)


def test_attacks_and_evaluation_use_the_statistics_of_the_own_process():
    """There is no group here to exchange anything with."""
    layer, x, _ = problem("images")
    for mode in ("training", "updating", "evaluation"):
        plain = copy.deepcopy(layer)
        with whole_batch_statistics(layer, [5, 4], 0), attack_mode(layer, mode):
            out = layer(x[0])
        with attack_mode(plain, mode):
            assert torch.equal(out, plain(x[0]))
    with (
        whole_batch_statistics(layer, [5, 4], 0),
        pytest.raises(ValueError, match="process group"),
    ):
        layer(x[0])
