"""Small networks whose attacks are cheap to compute twice."""

import torch
from torch import Tensor, nn


class Sharper(nn.Module):
    """Logits times a factor: without it an untrained network is sure of nothing, and every image
    stays in stage A."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return self.factor * logits


class CountRows(nn.Module):
    """Counts the images that are passed through a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.rows, self.passes = network, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows, self.passes = self.rows + len(x), self.passes + 1
        return self.network(x)


def conv_network(classes: int = 3, channels: int = 1, seed: int = 0) -> nn.Sequential:
    """A random network for 8 x 8 images in training mode, float64: all that an attack could
    disturb is in it (dropout, and batch norm with statistics of its own)."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, classes),
        Sharper(20.0),
    ).double()
    for _ in range(5):
        network(torch.rand(20, channels, 8, 8, dtype=torch.float64))
    return network


def flat_network(classes: int = 3) -> nn.Sequential:
    """A random network for images that are rows of 6 numbers."""
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, classes), Sharper(4.0)).double()


@torch.no_grad()
def images_and_labels(network: nn.Module, n: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Random images; three labels in four are what the network says of them."""
    x = torch.rand(n, *shape, dtype=torch.float64)
    modes = [(module, module.training) for module in network.modules()]
    logits = network.eval()(x)
    for module, training in modes:
        module.training = training
    y = logits.argmax(1)
    y[::4] = (y[::4] + 1) % logits.shape[1]
    return x, y


def linear_network(w: Tensor) -> nn.Linear:
    """Two classes with logits 0 and w'x: the cross-entropy of label 0 rises with w'x alone."""
    layer = nn.Linear(len(w), 2, bias=False).to(w.dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([torch.zeros_like(w), w]))
    return layer
