"""Train a network of your own by SENSE-AT. The run's folder keeps weights, metrics and options.

A network takes images n x channels x height x width with pixels from 0 to 1 and returns logits.
"""

import tempfile
from dataclasses import replace

from torch import nn

import sense

network = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2),
    nn.ReLU(),
    nn.Conv2d(16, 32, 5, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32 * 4 * 4, 10),
)
# Small enough for seconds: leave out train_size, pretrain and epochs for a real training.
config = replace(
    sense.recipe("mnist-demo"), method="sense", c=0.5, train_size=500, pretrain=1, epochs=1
)
folder = tempfile.mkdtemp() + "/run"
sense.fit(config, folder, model=network, show=True)

# The folder names no code: the network is passed again to load its weights.
model = sense.load(folder, model=network)
print(sum(parameter.numel() for parameter in model.parameters()), "parameters in", folder)
