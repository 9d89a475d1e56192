"""The wide residual network of the authors of IAAT (Balaji et al. 2019)."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .small_cnn import Shape

# CIFAR10's mean and standard deviation per channel, from the authors' code.
MEAN, DEVIATION = (125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)


class IaatWideResNet(nn.Module):
    """WRN-32-10 with these differences: pixels are standardised inside the network; only the last
    batch norm has weights; the first convolution is as wide as the first group; shortcuts average
    pixels and add channels of zeros; the linear layer is a 1 x 1 convolution with batch norm.

    Images that are not RGB are standardised with mean and standard deviation 1/2.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, depth: int, widen: int, shape: Shape = (3, 32, 32), classes: int = 10
    ) -> None:
        super().__init__()
        channels, blocks = shape[0], (depth - 2) // 6
        rgb = channels == 3
        for name, value in (("mean", MEAN), ("deviation", DEVIATION)):
            numbers = torch.tensor(value if rgb else (0.5,) * channels)
            self.register_buffer(name, numbers.view(-1, 1, 1))
        widths = (16 * widen, 32 * widen, 64 * widen)
        self.conv = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        layers: list[nn.Module] = [Block(widths[0], widths[0]) for _ in range(blocks)]
        for inputs, width in itertools.pairwise(widths):
            layers.append(Block(inputs, width))
            layers += [Block(width, width) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(widths[-1], affine=False)
        self.output = nn.Conv2d(widths[-1], classes, 1, bias=False)
        self.output_norm = nn.BatchNorm2d(classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.conv((x - self.mean) / self.deviation))
        x = self.output_norm(self.output(F.relu(self.norm(x))))
        return x.mean((2, 3))


class Block(nn.Module):
    """Two 3 x 3 convolutions after batch norm and ReLU, and a shortcut without parameters."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == width else 2
        self.norm1 = nn.BatchNorm2d(inputs, affine=False)
        self.norm2 = nn.BatchNorm2d(width, affine=False)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=self.stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        if self.stride == 2:
            x = F.avg_pool2d(x, 3, stride=2, padding=1)
            x = torch.cat([x, torch.zeros_like(x)], 1)
        return out + x
