"""What methods remember of each image, with two real processes that see different images."""

import pytest
import torch

from processes import together
from sense.config import Config
from sense.distributed import join_group
from sense.methods import Batch, build_method
from sense.methods.per_example_state import merge
from test_iaat import Threshold, greys

GREYS = torch.linspace(0.02, 0.6, 24).tolist()
EPOCHS = 4
METHODS = {
    "iaat": {"eps": 0.1, "step_size": 0.02, "steps": 8, "warmup": 1, "gamma": 0.03},
    "mma": {"eps": 0.3, "step_size": 0.05, "steps": 8},
}


def build(name):
    return build_method(Config(method=name, **METHODS[name]), len(GREYS))


def take(images, position):
    return Batch(images.x[position], images.y[position], position)


def order(epoch):
    return torch.randperm(len(GREYS), generator=torch.Generator().manual_seed(epoch))


def train_part(rank, folder, name):
    """One of two processes: half of each epoch's order, then all memories made one."""
    torch.manual_seed(rank)
    method, model, images = build(name), Threshold(), greys(*GREYS)
    for epoch in range(EPOCHS):
        for position in order(epoch)[rank::2].split(5):
            method(model, take(images, position), epoch)
        method.load_state_dict(merge(join_group().gather(method.state_dict())))
    torch.save(method.state_dict(), folder / f"{rank}.pt")


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_remember_what_one_does(name, tmp_path):
    one, images = build(name), greys(*GREYS)
    for epoch in range(EPOCHS):
        for position in order(epoch).split(5):
            one(Threshold(), take(images, position), epoch)
    expected = one.state_dict()
    assert len(expected["values"].unique()) > 3  # there is something to remember

    together(train_part, 2, tmp_path, name)
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(state["updates"], expected["updates"])
        torch.testing.assert_close(state["values"], expected["values"], rtol=0, atol=1e-6)
