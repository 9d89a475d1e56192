"""Sensible adversarial training in a loop of your own, with any torch network."""

import torch
from torch.nn.functional import cross_entropy

import sense
from sense.data import load_data, to_float

data = load_data("mnist-sample")
x, y = to_float(data.train_x[:1000]), data.train_y[:1000]

network = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
)
optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
for _ in range(5):
    for batch in torch.randperm(len(x)).split(50):
        x_sensible = sense.sensible(
            network, x[batch], y[batch], eps=0.1, step_size=0.025, steps=5, c=0.5
        )
        optimizer.zero_grad()
        cross_entropy(network(x_sensible), y[batch]).backward()
        optimizer.step()

test_x, test_y = to_float(data.test_x[:500]), data.test_y[:500]
print(sense.evaluate(network, test_x, test_y, eps=0.1, attacks=["pgd"], steps=20))
