"""Export by torch.export and to ONNX: the exported network gives the same logits."""

import io
import json
import sys

import pytest
import torch
from torch import nn

import sense
from conftest import ROOT
from sense.config import Config
from sense.data import to_float
from sense.errors import InputError, MissingPackageError, TakenError
from sense.models import MODELS, build_model
from sense.network_export import TOLERANCE, compare, export, export_main, onnx_runner
from sense.runs import load_scaling
from sense.train import fit
from sense.weights import weights_sha256
from test_table_data import quick, rows, table

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
# One small network of each entry of MODELS, and the shape of its images.
NETWORKS = {
    "small-cnn": GREY,
    "capacity-2": GREY,
    "cifar-cnn-1": COLOUR,
    "cifar-cnn-2": COLOUR,
    "resnet20": COLOUR,
    "resnet18": COLOUR,
    "preact-resnet18": COLOUR,
    "wrn-10-1": COLOUR,
    "iaat-wrn-8-1": COLOUR,
}
SLOW = ("resnet20", "resnet18", "preact-resnet18", "wrn-10-1", "iaat-wrn-8-1")
CASES = [
    pytest.param(name, end, marks=pytest.mark.slow if name in SLOW and end == "onnx" else ())
    for name in NETWORKS
    for end in ("pt2", "onnx")
]


@pytest.fixture
def images(sample):
    """Real images of a shape; those in colour are digits with a border, in three colours."""

    def make(shape, n=12):
        x = to_float(sample.test_x[:n])
        if shape == COLOUR:
            x = nn.functional.pad(x, (2, 2, 2, 2)) * torch.tensor([1.0, 0.7, 0.4]).view(3, 1, 1)
        return x

    return make


def run(path):
    """The exported network, as a function, and what the file says of it."""
    if path.suffix == ".pt2":
        extra = {"sense.json": ""}
        program = torch.export.load(str(path), extra_files=extra)
        return program.module(), json.loads(extra["sense.json"])
    import onnx

    proto = onnx.load(str(path))
    return onnx_runner(proto), {entry.key: entry.value for entry in proto.metadata_props}


def trained_statistics(network, x):
    """Running statistics of batch norm that are not those of an untrained network."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(x)
    return network.eval()


def test_a_network_of_each_kind_is_tested():
    kinds = " ".join(MODELS).replace("capacity-D", "capacity-2").replace("wrn-34-10", "wrn-10-1")
    for name in NETWORKS:
        assert name in kinds.replace("iaat-wrn-32-10", "iaat-wrn-8-1"), name


@pytest.mark.parametrize(("name", "end"), CASES)
def test_every_network_is_exported_with_any_number_of_images(images, tmp_path, name, end):
    x = images(NETWORKS[name])
    network = trained_statistics(build_model(name, NETWORKS[name], 10), x)
    path = tmp_path / f"network.{end}"
    done = export(network, path, images=x)
    exported, note = run(path)
    with torch.no_grad():
        for n in (1, 5, 12):
            torch.testing.assert_close(exported(x[:n]), network(x[:n]), atol=1e-4, rtol=1e-4)
        expected = network(x)
    assert done.largest_logit == pytest.approx(float(expected.abs().max()))
    assert float(note["largest_difference"]) == pytest.approx(done.largest_difference)
    assert done.largest_difference <= TOLERANCE * max(1, done.largest_logit)
    assert note["weights_sha256"] == weights_sha256(network)


@pytest.mark.parametrize("end", ["pt2", "onnx"])
def test_normalisation_and_output_objects_are_part_of_the_export(images, tmp_path, end):
    class Output(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

        def forward(self, x):
            return {"logits": self.inner(x)}

    x = images(GREY)
    network = sense.Normalised(Output(), (0.13,), (0.31,))
    export(network, tmp_path / f"network.{end}", images=x)
    exported, _ = run(tmp_path / f"network.{end}")
    expected = network.eval()(x)
    expected = expected["logits"] if isinstance(expected, dict) else expected
    torch.testing.assert_close(exported(x), expected, atol=1e-5, rtol=1e-5)


def test_the_network_is_left_as_it_was(images, tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(1352, 3))
    network.train()[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export(network, tmp_path / "network.pt2", images=images(GREY))
    assert [module.training for module in network] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


class Depends(nn.Module):
    """Its operations depend on values of the images."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)

    def forward(self, x):
        return self.linear(x.flatten(1)) if x.sum() > 0 else x.flatten(1)[:, :10]


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def test_a_network_that_cannot_be_exported_says_why_and_writes_nothing(images, tmp_path):
    for end, what in (("pt2", "torch.export"), ("onnx", "torch.onnx.export")):
        with pytest.raises(InputError, match=rf"cannot be exported by {what}: \w+: .*values of"):
            export(Depends(), tmp_path / f"network.{end}", images=images(GREY))
    assert not list(tmp_path.iterdir())


def test_other_logits_are_refused(images):
    x = images(GREY)
    expected = LINEAR(x).detach()
    assert compare(LINEAR, x, expected) < 1e-5
    with pytest.raises(InputError, match=r"differ by up to 1\.0e-02, more than"):
        compare(lambda z: LINEAR(z) + 0.01, x, expected)
    with pytest.raises(InputError, match="differ by up to nan"):
        compare(lambda z: LINEAR(z) * float("nan"), x, expected)
    with pytest.raises(InputError, match=r"returns logits of shape \(12, 9\)"):
        compare(lambda z: LINEAR(z)[:, 1:], x, expected)


def test_what_is_refused_before_time_is_spent(images, tmp_path, monkeypatch):
    x = images(GREY)
    (tmp_path / "taken.pt2").write_text("mine")
    with pytest.raises(TakenError, match=r"taken.pt2 exists"):
        export(LINEAR, tmp_path / "taken.pt2", images=x)
    with pytest.raises(InputError, match=r"must end in .pt2 .* or .onnx"):
        export(LINEAR, tmp_path / "network.pt", images=x)
    with pytest.raises(FileNotFoundError, match="no folder"):
        export(LINEAR, tmp_path / "absent" / "network.pt2", images=x)
    with pytest.raises(InputError, match="pass images"):
        export(LINEAR, tmp_path / "network.pt2")
    with pytest.raises(InputError, match="at least 2 images"):
        export(LINEAR, tmp_path / "network.pt2", images=x[:1])
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingPackageError, match=r"needs the package onnxscript: pip install"):
        export(LINEAR, tmp_path / "network.onnx", images=x)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.pt2"]
    export(LINEAR, tmp_path / "taken.pt2", images=x, overwrite=True)
    assert run(tmp_path / "taken.pt2")[0](x).shape == (12, 10)


def test_without_onnxruntime_the_reference_evaluator_is_used(images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    export(LINEAR, tmp_path / "network.onnx", images=images(GREY))
    exported, _ = run(tmp_path / "network.onnx")
    torch.testing.assert_close(exported(images(GREY)), LINEAR(images(GREY)).detach())


def test_the_command_exports_a_run(tmp_path, capsys, monkeypatch):
    stored = ROOT / "inst/extdata/mnist-demo/sense"
    export_main([str(stored), "--format", "torch", "--out", str(tmp_path / "a.pt2")])
    assert "a.pt2: logits of 100 images differ by at most " in capsys.readouterr().out
    _, note = run(tmp_path / "a.pt2")
    assert (note["model"], note["images"], len(note["classes"])) == ("capacity-3", 100, 10)
    for words, message in (
        (["--out", "a.pt2"], "--out must end in .onnx for --format onnx"),
        (["--format", "torch", "--out", str(tmp_path / "a.pt2")], "--overwrite"),
    ):
        with pytest.raises(SystemExit):
            export_main([str(stored), *words])
        assert message in capsys.readouterr().err


def test_a_network_in_memory_is_passed_again(few, tmp_path):
    config = Config(
        dataset="arrays", method="nt", pretrain=0, epochs=1, monitor_size=8, device="cpu"
    )
    fit(config, tmp_path / "run", data=few, model=LINEAR)
    with pytest.raises(InputError, match="pass it again"):
        export(tmp_path / "run", tmp_path / "a.pt2")
    with pytest.raises(InputError, match="data that was passed in memory"):
        export(tmp_path / "run", tmp_path / "a.pt2", model=LINEAR)
    export(tmp_path / "run", tmp_path / "a.pt2", model=LINEAR, images=few.test_x)
    buffer = io.BytesIO((tmp_path / "a.pt2").read_bytes())
    x = to_float(few.test_x[:3])
    torch.testing.assert_close(torch.export.load(buffer).module()(x), LINEAR(x).detach())


def test_a_network_of_a_table_takes_scaled_features(tmp_path):
    data = table()
    sense.fit(quick(), tmp_path / "run", data=data)
    with pytest.raises(InputError, match="passed in memory"):
        export(tmp_path / "run", tmp_path / "a.pt2")
    x, _ = rows()
    export(tmp_path / "run", tmp_path / "a.pt2", images=x)
    exported, note = run(tmp_path / "a.pt2")
    assert note["input"] == "scaled features, float32, n x 4"
    scaled = load_scaling(tmp_path / "run")(x)
    expected = sense.load(tmp_path / "run")(scaled)
    torch.testing.assert_close(exported(scaled), expected.detach(), atol=1e-5, rtol=1e-5)
