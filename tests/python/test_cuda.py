"""On a GPU attacks find the images of the CPU, and every precision trains the same network."""

import copy
import json
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

from networks import conv_network, images_and_labels
from sense.attacks import deepfool, fgsm, pgd, sensible_with_stages
from sense.checkpoint import load_weights
from sense.evaluation.evaluate import evaluate
from sense.evaluation.settings import Settings
from sense.runs import METRICS, read_run
from sense.train import TrainingStopped, fit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
ATTACKS = {
    "fgsm": partial(fgsm, eps=0.1),
    "pgd": partial(pgd, eps=0.1, step_size=0.03, steps=5, random_start=False),
    "deepfool": partial(deepfool, eps=0.1),
}
SENSIBLE = {"eps": 0.3, "step_size": 0.05, "steps": 8, "c": 0.7}


@pytest.fixture(scope="module")
def pair():
    """A network and images in float64, on the CPU and on the GPU."""
    network = conv_network().eval()
    x, y = images_and_labels(network, 40, 1, 8, 8)
    there = conv_network().eval()
    there.load_state_dict(network.state_dict())
    return (network, x, y), (there.cuda(), x.cuda(), y.cuda())


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_finds_the_same_images(pair, name):
    here, there = (ATTACKS[name](*arguments) for arguments in pair)
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-9)


@pytest.mark.parametrize("boundary", ["revert", "bisect"])
def test_the_sensible_attack_finds_the_same_images_and_stages(pair, boundary):
    here, there = (
        sensible_with_stages(*arguments, boundary=boundary, **SENSIBLE) for arguments in pair
    )
    assert torch.equal(there.stages.cpu(), here.stages)
    assert here.stages.unique().numel() > 1
    torch.testing.assert_close(there.x_adv.cpu(), here.x_adv, rtol=0, atol=1e-9)


def test_an_evaluation_finds_the_same_accuracies(pair):
    settings = Settings(attacks=("fgsm", "pgd"), eps=0.1, step_size=0.03, steps=5, restarts=2)
    here, there = (evaluate(*arguments, settings).accuracy for arguments in float32(pair))
    assert there.keys() == here.keys()
    for name, proportion in there.items():
        assert proportion.k == pytest.approx(here[name].k, abs=2), name


def float32(pair):
    return [(copy.deepcopy(network).float(), x.float(), y) for network, x, y in pair]


@pytest.fixture
def config(tiny):
    return replace(tiny, device="cuda", pretrain=1, epochs=1, precision="float32")


@pytest.mark.parametrize(
    ("change", "atol"),
    [
        ({}, 1e-3),
        ({"cuda_graphs": True, "method": "r-at"}, 1e-3),
        ({"precision": None}, 0.1),
        ({"precision": "bfloat16"}, 0.1),
        ({"precision": "bfloat16", "cuda_graphs": True, "method": "r-at"}, 0.1),
    ],
    ids=str,
)
def test_training_gives_the_network_of_the_cpu(tmp_path, few, config, change, atol):
    """Up to rounding, which is larger in half precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler itself
        fit(replace(config, **change), tmp_path / "gpu", data=few)
    method = change.get("method", config.method)
    fit(replace(config, device="cpu", method=method), tmp_path / "cpu", data=few)
    found, expected = load_weights(tmp_path / "gpu"), load_weights(tmp_path / "cpu")
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=atol)
    assert abs(natural(tmp_path / "gpu") - natural(tmp_path / "cpu")) <= 8  # of 32


def test_a_run_stores_the_name_of_the_gpu(tmp_path, few, config):
    fit(config, tmp_path, data=few)
    assert read_run(tmp_path)[1]["provenance"]["gpu"] == torch.cuda.get_device_name("cuda")


def natural(folder):
    return json.loads((folder / METRICS).read_text().splitlines()[-1])["natural_correct"]


def test_a_stopped_run_is_resumed(tmp_path, few, config):
    whole = fit(config, tmp_path / "whole", data=few)
    calls = iter(range(100))
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "part", data=few, stop=lambda: 15 if next(calls) == 8 else None)
    resumed = fit(config, tmp_path / "part", data=few, resume=True)
    for mine, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-4)
