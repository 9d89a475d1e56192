"""Wide residual networks (Zagoruyko and Komodakis 2016): WRN-34-10, the network of TRADES, MART and
the paper's section 5.3.1, and WRN-28-4, that of MMA."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from .small_cnn import Shape

# The first convolution by its stride: channels, size and padding. With stride 2 the blocks have a
# quarter of the pixels, and a patch of 4 x 4 pixels in three colours gets as many channels as it
# has numbers.
STEMS = {1: (16, 3, 1), 2: (48, 4, 1)}


class WideResNet(nn.Module):
    """A convolution (`STEMS`), three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times
    `widen` channels, batch norm, the mean over the image, a linear layer.

    `stride` is that of the first convolution: 1, or 2, with which the network is about four times
    as fast.

    On CIFAR10 WRN-34-10 has 46,160,474 parameters. The authors' code counts 48,262,586, as it
    creates a second copy of the first group that is never used.
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        stride: int = 1,
        shape: Shape = (3, 32, 32),
        classes: int = 10,
    ) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        channels, size, padding = STEMS[stride]
        widths = (channels, 16 * widen, 32 * widen, 64 * widen)
        self.conv = nn.Conv2d(shape[0], channels, size, stride=stride, padding=padding, bias=False)
        layers = []
        for inputs, width, stride in zip(widths, widths[1:], (1, 2, 2), strict=False):
            layers.append(Block(inputs, width, stride))
            layers += [Block(width, width, 1) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.output = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.blocks(self.conv(x))))
        return self.output(x.mean((2, 3)))


class Block(nn.Module):
    """Batch norm and ReLU before each of two convolutions. If the width changes, the shortcut is a
    1 x 1 convolution of the output of the first ReLU."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(inputs, width, 1, stride=stride, bias=False) if inputs != width else None
        )

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        out = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return out + (x if self.shortcut is None else self.shortcut(active))
