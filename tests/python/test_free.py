"""Free adversarial training: one backward pass for weights and perturbation, kept over batches."""

import copy
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import reference_methods as literal
from networks import conv_network, images_and_labels
from sense.checkpoint import load_checkpoint
from sense.config import Config
from sense.data.augment import augment
from sense.errors import InputError
from sense.methods import Batch, build_method
from sense.train import TrainingStopped, fit
from sense.training import batches_of_epoch
from test_resume import after

FREE = Config(method="free", eps=0.1, batch_size=12, replays=3)


@pytest.mark.parametrize(
    ("norm", "eps", "step"), [("inf", 0.1, None), ("inf", 0.1, 0.04), ("2", 0.5, 0.3)]
)
def test_weights_and_perturbation_follow_the_algorithm(norm, eps, step):
    """Three batches, the last one smaller, in a network with batch norm and dropout."""
    config = replace(FREE, norm=norm, eps=eps, fgsm_step=step)
    fast = conv_network()
    x, y = images_and_labels(fast, 32, 1, 8, 8)
    slow = copy.deepcopy(fast)
    parts = torch.arange(32).split(12)
    torch.manual_seed(3)
    expected, delta = literal.free(
        slow,
        [(x[part], y[part]) for part in parts],
        eps=eps,
        step=step or eps,
        replays=3,
        lr=0.001,
        norm=norm,
    )
    method, optimizer = build_method(config, 32), torch.optim.SGD(fast.parameters(), lr=0.001)
    torch.manual_seed(3)
    found = []
    for part in parts:
        for _ in range(method.replays):
            step_of_batch = method(fast, Batch(x[part], y[part], part), 0.0)
            optimizer.zero_grad()
            step_of_batch.loss.backward()
            optimizer.step()
            found.append(step_of_batch.loss.item())
    assert found == pytest.approx(expected, abs=1e-9)
    torch.testing.assert_close(method.delta[:12], delta, rtol=0, atol=1e-9)
    assert not method.delta[12:].any()
    assert method.updates.tolist() == [9] * 8 + [6] * 4 + [0]
    for name, value in fast.state_dict().items():
        torch.testing.assert_close(value, slow.state_dict()[name], rtol=0, atol=1e-9)


def test_a_clipped_pixel_keeps_its_perturbation():
    """Its gradient is zero, as in the authors' code."""
    method = build_method(replace(FREE, batch_size=1), 1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2, 2)).double()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    x, y = torch.tensor([[[[0.0, 0.5]]]]).double(), torch.tensor([0])
    for expected in ([-0.1, -0.1], [-0.1, -0.1]):  # the loss of class 0 falls with each pixel
        method(network, Batch(x, y, torch.tensor([0])), 0.0).loss.backward()
        assert method.delta[0].flatten().tolist() == pytest.approx(expected)
    y = torch.tensor([1])  # the loss now rises with each pixel; the first one is clipped
    method(network, Batch(x, y, torch.tensor([0])), 0.0).loss.backward()
    assert method.delta[0].flatten().tolist() == pytest.approx([-0.1, 0.0])


def test_m_epochs_go_over_all_images_and_each_epoch_makes_as_many_updates(
    tmp_path, few, tiny, monkeypatch
):
    config = replace(tiny, method="free", replays=3, pretrain=1, epochs=6)
    drawn, updates = [], []

    def noted(x, how):
        drawn.append(len(x))
        return augment(x, how)

    step = torch.optim.SGD.step
    monkeypatch.setattr("sense.train.augment", noted)
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self: updates.append(len(drawn)) or step(self)
    )
    fit(config, tmp_path / "run", data=few)
    # 300 images in batches of 50: six updates of pre-training; then two batches in each epoch,
    # drawn and augmented once.
    assert len(updates) == 6 + 6 * 6
    assert Counter(updates) == {i: 1 if i <= 6 else 3 for i in range(1, 19)}


def test_the_images_of_m_epochs_are_a_permutation(few, tiny):
    config = replace(tiny, method="free", replays=3, pretrain=1)
    state = SimpleNamespace(method=build_method(config, 300))
    training = SimpleNamespace(config=config, loader=few.train_x, state=state)
    for first in (1, 4):
        seen = []
        for epoch in range(first, first + 3):
            seen += batches_of_epoch(training, epoch)
        assert torch.equal(torch.cat(seen).sort().values, torch.arange(300))


def test_the_perturbation_is_in_the_checkpoint_and_in_the_ball(tmp_path, few, tiny):
    config = replace(tiny, method="free", replays=2, pretrain=0, eps_ramp=4.0, epochs=2)
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "run", data=few, stop=after(2))
    state = load_checkpoint(tmp_path / "run")["method"]
    assert state["values"].shape == (51, 1, 28, 28)
    assert state["updates"].tolist() == [4] * 50 + [0]
    largest = state["values"].abs().max().item()
    first, last = config.eps / 3, config.eps
    assert largest <= first + (last - first) * 0.34 / 4 + 1e-6
    assert largest >= first


def test_too_few_batches_are_refused(tmp_path, few, tiny):
    config = replace(tiny, method="free", batch_size=60)
    with pytest.raises(InputError, match="at most the number of batches with free, 5 here, got 8"):
        fit(config, tmp_path / "run", data=few)
    assert not (tmp_path / "run").exists()
