"""The SmallCNN of TRADES (Zhang et al. 2019), which the paper uses for MNIST (section 5.2.1)."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .greyscale import GreyscaleConv2d

Shape = tuple[int, ...]  # (channels, height, width)


class SmallCNN(nn.Module):
    """Four 3 x 3 convolutions, three linear layers: 312,202 parameters for 1 x 28 x 28, 10 classes.

    The paper's text describes three convolutions and one linear layer; the authors' code loads
    this network. The last layer starts at zero, so the gradient with respect to the
    image is zero until the first update.
    """

    def __init__(self, shape: Shape = (1, 28, 28), classes: int = 10) -> None:
        super().__init__()
        channels, height, width = shape
        flat = 64 * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
        if height < 16 or width < 16:
            raise InputError(f"small-cnn needs images of at least 16 x 16, got {height} x {width}")
        # ReLU after max-pooling gives the same result as before it, from a quarter of the values.
        self.features = nn.Sequential(
            GreyscaleConv2d(channels, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.hidden1 = nn.Linear(flat, 200)
        self.hidden2 = nn.Linear(200, 200)
        self.output = nn.Linear(200, classes)
        self.dropout = nn.Dropout(0.5)
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).flatten(1)
        x = self.dropout(F.relu(self.hidden1(x)))
        return self.output(F.relu(self.hidden2(x)))
