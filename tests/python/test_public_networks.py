"""The networks of public checkpoints have the names and shapes of those files, and the accuracies
that are published."""

import runpy

import pytest
import torch

from conftest import ROOT
from documented_public_networks import EXTERNAL, accuracy, sources
from sense.evaluation.outcomes import CorrectMatrix, read_outcomes
from sense.evaluation.summary import accuracies, attacks_in_ball, read_evaluation
from sense.weights import load_matching_weights

NETWORKS = runpy.run_path(str(ROOT / "tools/public_networks.py"))
# The names and shapes in the two files, as torch.load(..., weights_only=True) lists them.
SHAPES = {
    "convex_adversarial": {
        "0": (16, 1, 4, 4),
        "2": (32, 16, 4, 4),
        "5": (100, 1568),
        "7": (10, 100),
    },
    "trades": {
        "feature_extractor.conv1": (32, 1, 3, 3),
        "feature_extractor.conv2": (32, 32, 3, 3),
        "feature_extractor.conv3": (64, 32, 3, 3),
        "feature_extractor.conv4": (64, 64, 3, 3),
        "classifier.fc1": (200, 1024),
        "classifier.fc2": (200, 200),
        "classifier.fc3": (10, 200),
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_weights_with_the_names_of_the_file_are_loaded(name):
    torch.manual_seed(1)
    saved = {}
    for layer, shape in SHAPES[name].items():
        saved[f"{layer}.weight"] = torch.randn(shape)
        saved[f"{layer}.bias"] = torch.randn(shape[0])
    network = load_matching_weights(NETWORKS[name](), saved, "theirs.pt")
    state = network.state_dict()
    assert state.keys() == saved.keys()
    assert all(torch.equal(value, state[key]) for key, value in saved.items())
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    assert not network.training


STORED = [EXTERNAL / name for source in sources() for name in (source, f"{source}-all")]


@pytest.mark.parametrize("folder", STORED, ids=lambda folder: folder.name)
def test_the_stored_evaluations_are_those_of_the_sources(folder):
    source = sources()[folder.name.removesuffix("-all")]
    stored = read_evaluation(folder)
    assert stored["finished"]
    assert stored["target"]["model"] == source["factory"]
    assert stored["options"]["eps"] == float(source["eps"])
    assert stored["options"]["norm"] == "inf"
    assert stored["data"]["of"] == 10_000
    assert stored["data"]["n"] == (10_000 if folder.name.endswith("-all") else int(source["n"]))
    assert f"--weights {source['file'].rpartition('/')[2]} " in stored["provenance"]["command"]
    assert "/work" not in str(stored)
    assert "/tmp" not in str(stored)
    correct = CorrectMatrix.from_outcomes(read_outcomes(folder))
    counted = accuracies(correct, attacks_in_ball(stored))
    assert {name: found["k"] for name, found in stored["accuracy"].items()} == {
        name: found.k for name, found in counted.items()
    }


@pytest.mark.parametrize("name", sources())
def test_the_natural_accuracy_on_all_images_is_the_published_one(name):
    found, published = accuracy(f"{name}-all")["natural"], sources()[name]["natural"]
    decimals = len(published.partition(".")[2])
    assert f"{100 * found['k'] / found['n']:.{decimals}f}" == published


def test_the_published_accuracies_under_attack_are_within_the_intervals():
    autoattack = accuracy("trades")["autoattack"]
    published = float(sources()["trades"]["under_autoattack"]) / 100
    assert autoattack["lower"] <= published <= autoattack["upper"]
    source, found = sources()["convex-adversarial"], accuracy("convex-adversarial")
    for attack in ("pgd", "autoattack"):
        for published in (source["proved"], source["under_pgd"]):
            assert found[attack]["lower"] <= float(published) / 100 <= found[attack]["upper"]
    assert found["autoattack"]["k"] == found["pgd"]["k"]  # it breaks no further image
