"""Checkpoints of other projects are loaded if their names and shapes match the network."""

import pytest
import torch
from torch import nn

from sense.checkpoint import read_weights
from sense.errors import InputError
from sense.evaluation.targets import open_target
from sense.weights import (
    find_state_dicts,
    load_matching_weights,
    mismatches,
    name_variants,
    weights_sha256,
)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
        self.last = nn.Linear(3, 4)

    def forward(self, x):
        return self.last(self.features(x).mean((2, 3)))


class Named(nn.Module):
    """A network whose own names begin as DataParallel's."""

    def __init__(self):
        super().__init__()
        self.module = Network()

    def forward(self, x):
        return self.module(x)


def trained(make=Network):
    torch.manual_seed(3)
    network = make()
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(1)
    return network


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}


def prefixed(prefix):
    return {prefix + name: value for name, value in trained().state_dict().items()}


SAVED = {
    "a state dict": prefixed(""),
    **{
        f"under {key}": {key: prefixed(""), "epoch": 3, "optimizer": OPTIMIZER}
        for key in (
            "net",
            "model",
            "model_state",
            "model_state_dict",
            "state_dict",
            "weights",
            "ema",
            "params",
            "network",
            "teacher",
        )
    },
    "nested": {"checkpoint": {"ema": {"state_dict": prefixed("")}}, "step": torch.tensor(7)},
    "compiled": prefixed("_orig_mod."),
    "in parallel": {"net": prefixed("module.")},
    "in parallel and compiled": {"state_dict": prefixed("module._orig_mod.")},
    "compiled and in parallel": {"state_dict": prefixed("_orig_mod.module.")},
    "a trainer's": {"state_dict": prefixed("model."), "hyper_parameters": {"lr": 0.1}},
    "a part compiled": {
        name.replace("features.", "features._orig_mod."): value
        for name, value in trained().state_dict().items()
    },
    "averaged": {**prefixed("module."), "n_averaged": torch.tensor(3)},
    "a trainer's, and its loss": {
        "state_dict": {**prefixed("model."), "loss.weight": torch.ones(4)}
    },
    "mixed": {
        ("module." if i % 2 else "module._orig_mod." if i % 3 else "") + name: value
        for i, (name, value) in enumerate(trained().state_dict().items())
    },
    "without counts of batches": {
        name: value for name, value in prefixed("").items() if "num_batches" not in name
    },
}


def same(network, other, but=()):
    own = other.state_dict()
    return all(
        torch.equal(value, own[name])
        for name, value in network.state_dict().items()
        if not name.endswith(but)
    )


@pytest.mark.parametrize("name", SAVED)
def test_checkpoints_of_other_projects_are_loaded(tmp_path, name):
    path = tmp_path / "weights.pt"
    torch.save(SAVED[name], path)
    network = load_matching_weights(Network(), read_weights(path), path)
    but = ("num_batches_tracked",) if name == "without counts of batches" else ("nothing",)
    assert same(network, trained(), but)
    assert not network.training


def test_a_network_whose_own_names_begin_with_module_keeps_them(tmp_path):
    for saved in (trained(Named).state_dict(), {"net": trained(Named).state_dict()}):
        torch.save(saved, tmp_path / "weights.pt")
        network = load_matching_weights(Named(), read_weights(tmp_path / "weights.pt"), "there")
        assert same(network, trained(Named))
    twice = {f"module.{name}": value for name, value in trained(Named).state_dict().items()}
    assert same(load_matching_weights(Named(), twice, "there"), trained(Named))


def test_the_matching_state_dict_is_loaded():
    other = nn.Linear(2, 2).state_dict()
    saved = {"discriminator": other, "generator": {"net": prefixed("")}}
    assert same(load_matching_weights(Network(), saved, "there"), trained())


def test_the_first_of_several_matching_state_dicts_is_loaded_and_named(caplog):
    saved = {"model": prefixed(""), "ema": Network().state_dict()}
    assert same(load_matching_weights(Network(), saved, "w.pt"), trained())
    assert "w.pt holds several state dicts that match (model, ema): model is used" in caplog.text


def broken(change):
    state = prefixed("")
    change(state)
    return state


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        (broken(lambda s: s.pop("last.bias")), r"last\.bias missing"),
        (broken(lambda s: s.update(head=torch.zeros(2))), "head unknown to the network"),
        (
            broken(lambda s: s.update({"last.weight": torch.zeros(10, 3)})),
            r"last\.weight is \(10, 3\), the network's \(4, 3\)",
        ),
        (
            nn.Linear(2, 2).state_dict(),
            r"features\.0\.weight, .* \d more missing; weight, bias",
        ),
        ({"epoch": 3, "lr": 0.1}, "holds no weights: a state dict was expected"),
        ({"optimizer": {0: torch.zeros(3)}}, "holds no weights"),
    ],
)
def test_differences_are_named(saved, expected):
    with pytest.raises(InputError, match=expected) as caught:
        load_matching_weights(Network(), saved, "weights.pt")
    assert "weights.pt" in str(caught.value)


def test_weights_of_another_project_are_evaluated_with_the_name_of_the_network(tmp_path):
    from sense.models import build_model

    model = build_model("capacity-1", (1, 28, 28), 10)
    path = tmp_path / "theirs.pt"
    saved = {"net": {f"module.{name}": value for name, value in model.state_dict().items()}}
    torch.save(saved, path)
    target = open_target(str(path), model="capacity-1", dataset="mnist-sample")
    assert same(target.model, model)
    with pytest.raises(
        InputError, match=r"theirs\.pt belong to another network: .*Name the network"
    ):
        open_target(str(path), model="capacity-2", dataset="mnist-sample")


def test_state_dicts_are_found_and_names_are_shortened():
    state = {"a": {"b": {"w": torch.zeros(1)}}, "w": torch.ones(1), 3: 4}
    assert list(find_state_dicts(state)) == []  # a state dict has names that are text
    del state[3]
    assert [name for name, _ in find_state_dicts(state)] == ["", "a.b"]
    names = [set(weights) for weights in name_variants({"x.y.w": torch.zeros(1), "x.y.b": 1})]
    assert names == [{"x.y.w", "x.y.b"}, {"y.w", "y.b"}, {"w", "b"}]
    complex_ = mismatches({"w": torch.zeros(2, dtype=torch.complex64)}, {"w": torch.ones(2)})
    assert complex_ == ["w is torch.complex64"]
    assert mismatches({"w": torch.zeros(2)}, {"w": torch.ones(2)}) == []


def test_the_hash_depends_on_names_and_values():
    layer = torch.nn.Linear(4, 3)
    before = weights_sha256(layer)
    assert weights_sha256(layer) == before
    assert weights_sha256(torch.nn.Sequential(layer)) != before
    with torch.no_grad():
        layer.bias[1] += 1e-6
    assert weights_sha256(layer) != before


def test_the_hash_does_not_depend_on_the_memory_layout():
    layer = torch.nn.Conv2d(3, 4, 2)
    before = weights_sha256(layer)
    layer.to(memory_format=torch.channels_last)
    assert weights_sha256(layer) == before
    norm = torch.nn.BatchNorm2d(2)
    before = weights_sha256(norm)
    norm(torch.rand(3, 2, 4, 4))  # the batch count, a scalar, is included
    assert weights_sha256(norm) != before
