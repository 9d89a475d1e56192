"""Stop a training in the middle of an epoch and resume it: the weights are the same to the bit."""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

import sense
from sense.train import TrainingStopped

config = replace(sense.recipe("mnist-demo"), train_size=600, pretrain=0, epochs=2, threads=1)
folder = Path(tempfile.mkdtemp())

in_one_go = sense.fit(config, folder / "in-one-go")

steps = iter([None] * 6 + ["enough"])  # called after each step
try:
    sense.fit(config, folder / "stopped", stop=lambda: next(steps))
except TrainingStopped as stopped:
    print(stopped)
resumed = sense.fit(config, folder / "stopped", resume=True)

pairs = zip(in_one_go.parameters(), resumed.parameters(), strict=True)
print("the same weights:", all(torch.equal(a, b) for a, b in pairs))
