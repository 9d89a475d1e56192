"""The networks of public checkpoints have the names and shapes of those files."""

import runpy

import pytest
import torch

from conftest import ROOT
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
