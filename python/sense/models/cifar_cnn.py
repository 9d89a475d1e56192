"""The small networks for CIFAR10 of section 5.3.4, "capacity 1" and "capacity 2"."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .small_cnn import Shape

UNITS = {1: (30, 21), 2: (120, 84)}  # of the two hidden linear layers


class CifarCNN(nn.Module):
    """Two 5 x 5 convolutions, three linear layers.

    Capacity 2 is the network of PyTorch's CIFAR10 tutorial, 62,006 parameters; capacity 1 has a
    quarter of its linear units, 15,773 parameters. (The paper's text calls both "capacity 1"; its
    table and the authors' code are as here.)
    """

    def __init__(self, capacity: int, shape: Shape = (3, 32, 32), classes: int = 10) -> None:
        super().__init__()
        channels, height, width = shape
        if height < 16 or width < 16:
            raise InputError(f"cifar-cnn needs images of at least 16 x 16, got {height} x {width}")
        flat = 16 * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
        first, second = UNITS[capacity]
        self.conv1, self.conv2 = nn.Conv2d(channels, 6, 5), nn.Conv2d(6, 16, 5)
        self.hidden1, self.hidden2 = nn.Linear(flat, first), nn.Linear(first, second)
        self.output = nn.Linear(second, classes)

    def forward(self, x: Tensor) -> Tensor:
        # ReLU after max-pooling gives the same result as before it, from a quarter of the values.
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2)).flatten(1)
        return self.output(F.relu(self.hidden2(F.relu(self.hidden1(x)))))
