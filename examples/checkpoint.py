"""Evaluate somebody else's network: its architecture is code that you have, its weights are a file.

The weights are read without unpickling code. `Normalised` is for networks of normalised images:
attacks act on pixels from 0 to 1. Add "autoattack" to the attacks for the figure to report.

From the shell:
python -m sense.evaluate MODULE:FACTORY --weights theirs.pt --dataset mnist-sample --eps 0.05
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

import sense
from sense.data import load_data, to_float
from sense.weights import load_matching_weights


def architecture() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


data = load_data("mnist-sample")
x, y = to_float(data.train_x), data.train_y

# Somebody trains on normalised images and publishes a state dict ...
theirs = architecture()
optimizer = torch.optim.Adam(theirs.parameters(), lr=0.003)
for batch in torch.randperm(len(x)).split(100):
    optimizer.zero_grad()
    nn.functional.cross_entropy(theirs((x[batch] - 0.13) / 0.31), y[batch]).backward()
    optimizer.step()
checkpoint = Path(tempfile.mkdtemp()) / "theirs.pt"
torch.save(theirs.state_dict(), checkpoint)

# ... and you evaluate it.
model = sense.Normalised(architecture(), mean=0.13, std=0.31)
load_matching_weights(model, torch.load(checkpoint, weights_only=True), checkpoint)
test_x, test_y = to_float(data.test_x[:200]), data.test_y[:200]
print(sense.evaluate(model, test_x, test_y, eps=0.05, attacks=["fgsm", "pgd"]))
