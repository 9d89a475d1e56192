"""The average of the weights over the updates, against a literal one of the weights seen."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from sense.checkpoint import load_checkpoint, load_weights, save_checkpoint
from sense.distributed import OneProcess
from sense.errors import InputError
from sense.methods import NaturalTraining
from sense.monitor import Monitor, training_part
from sense.runs import METRICS, read_run
from sense.stopping import PassStopped, StoppingPoint
from sense.train import TrainingStopped, fit
from sense.training_state import TrainingState
from sense.weight_average import update_average, weight_average
from test_resume import after, outcome


class Normed(nn.Module):
    """Has batch norm, an integer buffer, and its logits as an attribute of its output."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(676, 10)

    def forward(self, x):
        return type("Output", (), {"logits": self.head(self.layers(x))})()


def literal_average(weights, decay):
    """The average of states of a network (lists of numbers), the first of which is copied."""
    average = [float(value) for value in weights[0]]
    for t, values in enumerate(weights[1:], 1):
        d = min(decay, (1 + t) / (10 + t))
        average = [d * a + (1 - d) * float(v) for a, v in zip(average, values, strict=True)]
    return average


@pytest.fixture
def seen(monkeypatch):
    """The states of the model after each update in which it is averaged."""
    from torch.optim.swa_utils import AveragedModel

    states, update = [], AveragedModel.update_parameters

    def record(self, model):
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        update(self, model)

    monkeypatch.setattr(AveragedModel, "update_parameters", record)
    return states


@pytest.mark.parametrize("pretrain", [0, 1])
@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_the_weights_kept_are_the_average_over_the_updates_of_the_method(
    tmp_path, few, tiny, seen, pretrain, decay
):
    config = replace(tiny, method="r-at", pretrain=pretrain, ema=decay)
    model = fit(config, tmp_path, data=few, model=Normed())
    updates = 6 * (2 + pretrain)
    assert len(seen) == updates
    states = seen[max(0, 6 * pretrain - 1) :]  # from the last update of pre-training on
    kept = load_weights(tmp_path)
    for name, value in kept.items():
        assert torch.equal(model.state_dict()[name], value)
        each = [state[name].flatten().tolist() for state in states]
        if value.is_floating_point():
            expected = torch.tensor(literal_average(each, decay), dtype=torch.float64)
            torch.testing.assert_close(value.flatten().double(), expected, rtol=1e-4, atol=1e-6)
        else:
            assert value.item() == each[-1][0] == updates
    raw = load_checkpoint(tmp_path)["model"]
    assert all(torch.equal(raw[name], seen[-1][name]) for name in raw)
    assert not torch.allclose(raw["head.weight"], kept["head.weight"])
    assert read_run(tmp_path)[0].ema == decay


def test_accuracies_and_the_best_epoch_are_those_of_the_average(tmp_path, few, tiny):
    config = replace(
        tiny, method="nt", pretrain=0, epochs=3, ema=0.99, validation_size=60, keep="best"
    )
    found = []

    def measure(line):
        """The weights of this epoch, those of a run without --keep best."""
        monitor = Monitor.of(few, *training_part(few, config), config, torch.device("cpu"))
        weights = load_checkpoint(tmp_path)["average"]
        network = Normed()
        network.load_state_dict(
            {n.removeprefix("module."): v for n, v in weights.items() if n != "n_averaged"}
        )
        x = monitor.x
        natural = int((network.eval()(x).logits.argmax(1) == monitor.y).sum())
        assert line["natural_correct"] == natural
        found.append((natural, line["robust_correct"], line["epoch"], network.state_dict()))

    fit(config, tmp_path, data=few, model=Normed(), on_epoch=measure)
    *_, epoch, best = max(found, key=lambda each: each[:3])
    assert all(torch.equal(value, best[name]) for name, value in load_weights(tmp_path).items())
    last = json.loads((tmp_path / METRICS).read_text().splitlines()[-1])
    assert last["kept_epoch"] == epoch


def test_in_pretraining_the_weights_themselves_are_kept(tmp_path, few, tiny):
    for name, change in {"plain": {}, "average": {"ema": 0.99}}.items():
        config = replace(tiny, pretrain=2, **change)
        with pytest.raises(TrainingStopped):
            fit(config, tmp_path / name, data=few, stop=after(8))
    assert outcome(tmp_path / "average") == outcome(tmp_path / "plain")


def test_the_average_does_not_change_training(tmp_path, few, tiny):
    fit(tiny, tmp_path / "plain", data=few)
    fit(replace(tiny, ema=0.9), tmp_path / "average", data=few)
    one, two = (load_checkpoint(tmp_path / name)["model"] for name in ("plain", "average"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_an_update_may_start_the_average_again():
    model = nn.Linear(2, 1)
    average = weight_average(model, 0.9)
    for _ in range(3):
        with torch.no_grad():
            model.weight.add_(1)
        update_average(average, model, copy_only=False)
    assert not torch.equal(average.module.weight, model.weight)
    update_average(average, model, copy_only=True)
    assert torch.equal(average.module.weight, model.weight)


def test_a_slow_pass_of_the_average_is_stopped_too(monkeypatch, tiny):
    monkeypatch.setattr("sense.stopping.PATIENCE", 0.0)
    model, x = nn.Linear(2, 1), torch.rand(3, 2)
    state = TrainingState(
        model,
        torch.optim.SGD(model.parameters()),
        NaturalTraining(tiny),
        OneProcess(),
        average=weight_average(model, 0.9),
    )
    point = StoppingPoint(state, torch.device("cpu"), lambda: 2)
    with point:
        state.result(x)
        point.set()
        with pytest.raises(PassStopped):
            state.result(x)
    state.result(x)


def test_a_checkpoint_with_another_average_is_refused(tmp_path, few, tiny):
    config = replace(tiny, ema=0.9)
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path, data=few, stop=after(2))
    state = load_checkpoint(tmp_path)
    state["average"]["n_averaged"] = torch.zeros(2)
    save_checkpoint(tmp_path, state)
    with pytest.raises(InputError, match="n_averaged of its average must be"):
        fit(config, tmp_path, data=few, resume=True)


def test_a_network_that_cannot_be_copied_is_refused_before_a_folder_is_made(tmp_path, few, tiny):
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    network[1].last = network[1].weight * 2  # not a leaf: copy.deepcopy refuses it
    with pytest.raises(InputError, match="ema needs a copy of the network"):
        fit(replace(tiny, ema=0.9), tmp_path / "run", data=few, model=network)
    assert not (tmp_path / "run").exists()
