"""Checkpoints of other projects are loaded if their names and shapes match the network."""

import pytest
import torch
from torch import nn

from sense.checkpoint import read_weights
from sense.errors import InputError
from sense.evaluation.targets import open_target
from sense.models.normalised import Normalised
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
    "in a list": {"state_dict": [prefixed("")], "epoch": 22},
    "an average of a trainer": {
        "state_dict": {"step": torch.tensor(9)},
        "ema": {"shadow": prefixed("module.model."), "decay": 0.999},
    },
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


class Sequential(nn.Sequential):
    """The network of an independent script in plain torch: its names are positions."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(1568, 10),
        )


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


def test_networks_under_several_prefixes_are_several_state_dicts(caplog):
    average = {f"ema.module.{name}": value for name, value in trained().state_dict().items()}
    other = {f"model.{name}": value for name, value in Network().state_dict().items()}
    assert same(load_matching_weights(Network(), average | other, "w.pt"), trained())
    assert "several state dicts that match (ema, model): ema is used" in caplog.text
    caplog.clear()
    assert not same(load_matching_weights(Network(), {"a": other | average}, "w.pt"), trained())
    assert "(a.model, a.ema): a.model is used" in caplog.text


@pytest.mark.parametrize("dtype", [torch.int32, torch.int8, torch.bool, torch.complex64])
def test_numbers_that_are_no_weights_are_refused(dtype):
    saved = {name: value.to(dtype) for name, value in trained().state_dict().items()}
    with pytest.raises(InputError, match=f"is {dtype}"):
        load_matching_weights(Network(), saved, "w.pt")


def test_weights_in_half_precision_are_converted():
    state = trained().state_dict()
    half = {name: v.half() if v.is_floating_point() else v for name, v in state.items()}
    loaded = load_matching_weights(Network(), {"model_state_dict": half}, "half.pt").state_dict()
    for name, value in state.items():
        assert loaded[name].dtype == value.dtype
        assert torch.allclose(loaded[name].double(), value.double(), rtol=1e-3)


def test_a_list_of_state_dicts_is_read_and_its_positions_are_named(caplog):
    """Cascades and ensembles are saved so."""
    torch.manual_seed(5)
    saved = {"state_dict": [Sequential().state_dict() for _ in range(3)], "err": 0.3}
    network = load_matching_weights(Sequential(), saved, "cascade.pth")
    assert torch.equal(network[0].weight, saved["state_dict"][0]["0.weight"])
    assert "(state_dict.0, state_dict.1, state_dict.2): state_dict.0 is used" in caplog.text
    assert "save it alone with torch.save" in caplog.text
    for nothing in ([], [torch.zeros(2)], {"sampled": [torch.zeros(2)] * 3}):
        with pytest.raises(InputError, match="holds no weights"):
            load_matching_weights(Sequential(), nothing, "cascade.pth")


NORMALISED = {"std": torch.tensor([0.31]), "mean": torch.tensor([[[0.13]]])}
BESIDE = {
    "a wrapper": {**NORMALISED, **prefixed("model.")},
    "a first layer": {
        **{f"0.{name}": value for name, value in NORMALISED.items()},
        **prefixed("1."),
    },
    "mu and sigma": {
        "net": {"mu": NORMALISED["mean"], "sigma": NORMALISED["std"].half(), **prefixed("model.")}
    },
    "beside": {**NORMALISED, "state_dict": prefixed("")},
}


@pytest.mark.parametrize("where", BESIDE)
def test_mean_and_std_beside_the_weights_are_not_dropped_silently(caplog, where):
    assert same(load_matching_weights(Network(), BESIDE[where], "w.pt"), trained())
    assert (
        "for normalised images (mean [0.13] and std [0.31]), but the network takes" in caplog.text
    )
    caplog.clear()
    wrapped = Normalised(Network(), 0.13, 0.31)
    assert same(load_matching_weights(wrapped, BESIDE[where], "w.pt").model, trained())
    assert caplog.text == ""
    if where != "a wrapper":  # whose own weights these are
        other = Normalised(Network(), 0.5, 0.31)
        with pytest.raises(InputError, match=r"mean \[0.13\] and std .* has mean \[0.5\]: give"):
            load_matching_weights(other, BESIDE[where], "w.pt")


def test_the_channels_of_mean_and_std_are_compared():
    saved = {"normalize.mean": torch.full((3,), 0.5), **prefixed("model.")}
    load_matching_weights(Normalised(Network(), 0.5, 0.31), saved, "w.pt")
    two = Normalised(Network(), (0.5, 0.5), (0.3, 0.3))
    with pytest.raises(InputError, match=r"the network has mean \[0.5, 0.5\]"):
        load_matching_weights(two, saved, "w.pt")


def test_several_state_dicts_with_their_own_mean_and_std_are_loaded_without_that_warning(caplog):
    wrapped = Normalised(trained(), 0.13, 0.31).state_dict()
    network = Normalised(Network(), 0.5, 0.5)
    load_matching_weights(network, {"model": wrapped, "ema": wrapped}, "w.pt")
    assert network.mean.item() == pytest.approx(0.13)
    assert "normalised images" not in caplog.text


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
        (
            {"convolution1.weight": torch.zeros(3, 1, 3, 3), "convolution1.bias": torch.zeros(3)},
            r"convolution1\.weight, convolution1\.bias unknown to the network",
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
    names = [set(weights) for _, weights in name_variants({"x.y.w": torch.zeros(1), "x.y.b": 1})]
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
