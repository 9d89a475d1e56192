"""Targets: runs, files of weights and factories; missing information is named."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from conftest import ROOT
from sense.checkpoint import WEIGHTS, load_weights
from sense.errors import InputError
from sense.evaluation.settings import Settings
from sense.evaluation.targets import Target, open_run, open_source, open_target, with_distinct_names
from sense.models import build_model
from sense.runs import CONFIG, load
from sense.weights import weights_sha256

OWN = """
import torch
from torch import nn

def make(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], classes))

def ready():
    torch.manual_seed(11)
    return make((1, 28, 28), 10)
"""


@pytest.fixture
def own(tmp_path, monkeypatch, request):
    """A module of the user's in the working directory, with a name of its own for each test."""
    name = f"own_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return name


def linear():
    torch.manual_seed(5)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))


def test_a_run_is_a_target_with_its_own_folder(trained):
    folder, data = trained
    target = open_target(str(folder), data=data)
    assert (target.kind, target.name, target.folder) == ("run", "run", folder)
    assert (target.eps, target.norm, target.model_name) == (0.08, "inf", "capacity-1")
    assert weights_sha256(target.model) == weights_sha256(load(folder))
    with pytest.raises(ValueError, match="leave out --weights"):
        open_target(str(folder), data=data, weights=folder / WEIGHTS)


@pytest.mark.parametrize("name", [WEIGHTS, "checkpoint.pt", "checkpoint-previous.pt"])
def test_a_file_of_weights_in_a_run_has_the_options_of_the_run(trained, name):
    folder, data = trained
    target = open_target(str(folder / name), data=data)
    assert (target.kind, target.eps) == ("weights", 0.08)
    assert target.name == f"run-{name.removesuffix('.pt').removesuffix('.safetensors')}"
    assert str(target.folder) == f"evaluations/{target.name}"
    same = weights_sha256(target.model) == weights_sha256(load(folder))
    assert same == ("previous" not in name)


def test_weights_of_a_named_network(trained, tmp_path):
    folder, _ = trained
    shutil.copy(folder / WEIGHTS, tmp_path / "mine.safetensors")
    target = open_target(
        str(tmp_path / "mine.safetensors"), model="capacity-1", dataset="mnist-sample"
    )
    assert (target.name, target.eps, target.norm, target.config) == ("mine", None, None, None)
    assert len(target.data.test_x) == 2000
    with pytest.raises(ValueError, match=r"the network of .* is not known: --model NAME"):
        open_target(str(tmp_path / "mine.safetensors"), dataset="mnist-sample")
    with pytest.raises(ValueError, match=r"the data of .* are not known: --dataset NAME"):
        open_target(str(tmp_path / "mine.safetensors"), model="capacity-1")
    with pytest.raises(ValueError, match=r"weights in .* belong to another network"):
        open_target(str(tmp_path / "mine.safetensors"), model="capacity-2", dataset="mnist-sample")
    with pytest.raises(ValueError, match="is a file of weights: leave out --weights"):
        open_target(str(tmp_path / "mine.safetensors"), weights=folder / WEIGHTS)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_factory_with_weights(own, few, tmp_path, suffix):
    model, file = linear(), tmp_path / f"w.{suffix}"
    state = model.state_dict()
    save_file(state, file) if suffix == "safetensors" else torch.save({"state_dict": state}, file)
    target = open_target(f"{own}:make", weights=file, data=few)
    assert (target.kind, target.name, target.model_name) == ("factory", "w", f"{own}:make")
    assert weights_sha256(target.model) == weights_sha256(model)
    assert not target.model.training


def test_a_factory_may_return_a_trained_network(own, few):
    target = open_target(f"{own}:ready", data=few)
    torch.manual_seed(11)
    assert target.name == f"{own}-ready"
    expected = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    assert weights_sha256(target.model) == weights_sha256(expected)
    with pytest.raises(ValueError, match="--dataset NAME"):
        open_target(f"{own}:ready")


def test_a_builtin_network_needs_weights(few, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not the folder of a run, a file"):
        open_target("capacity-1", data=few)
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        open_target("/nowhere", data=few)


def test_opening_does_not_change_the_random_stream(trained, own, few):
    folder, data = trained
    before = torch.get_rng_state()
    open_target(str(folder / WEIGHTS), data=data)
    open_target(str(folder), data=data)
    assert torch.equal(before, torch.get_rng_state())


def test_the_source_of_transfer_is_the_network_of_a_run(trained):
    assert open_source(Settings(), torch.device("cpu")) is None
    source = open_source(Settings(source=trained[0]), torch.device("cpu"))
    assert weights_sha256(source) == weights_sha256(load(trained[0]))


def test_equal_names_get_the_name_of_the_parent_folder(few, tmp_path):
    def target(*parts):
        model = build_model("capacity-1", (1, 28, 28), 10)
        return Target(parts[-1], "run", "capacity-1", model, few, tmp_path.joinpath(*parts))

    one, other = target("a", "sense"), target("b", "sense")
    assert [t.name for t in with_distinct_names([one, other])] == ["a-sense", "b-sense"]
    assert with_distinct_names([one, replace(other, name="nt")])[0].name == "sense"
    with pytest.raises(ValueError, match="distinct names, got sense sense"):
        with_distinct_names([one, one])


def test_a_run_with_other_data_is_refused(trained, few):
    with pytest.raises(ValueError, match="was made with other data"):
        open_run(trained[0], data=few)
    assert (trained[0] / CONFIG).exists()
    assert load_weights(trained[0])


def test_a_run_is_evaluated_on_its_own_data_set_only():
    run = str(ROOT / "inst/extdata/mnist-demo/nt")
    for other in ("mnist", "nosuch"):
        with pytest.raises(InputError, match=r"trained on mnist-sample.*model\.safetensors"):
            open_target(run, dataset=other)
    assert open_target(run, dataset="mnist-sample").kind == "run"
