"""ResNet-18 and PreActResNet-18 for images of 32 x 32, the usual networks of adversarial training
on CIFAR10."""

import torch.nn.functional as F
from torch import Tensor, nn

from .small_cnn import Shape
from .wide_resnet import Block as PreActivationBlock

WIDTHS = (64, 128, 256, 512)  # channels of the four groups of two blocks


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) that begins with a 3 x 3 convolution of stride 1 and has no
    max-pooling, so that the last group has 4 x 4 pixels of an image of 32 x 32.

    On CIFAR10 it has 11,173,962 parameters, the number of the published one.
    """

    def __init__(self, shape: Shape = (3, 32, 32), classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(shape[0], WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = _groups(Block)
        self.output = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.output(x.mean((2, 3)))


class PreActResNet18(nn.Module):
    """The same with batch norm and ReLU before each convolution (He et al. 2016, "Identity
    mappings"), and after the last block: the network of Rice et al. 2020.

    On CIFAR10 it has 11,172,170 parameters. Code that leaves out the batch norm after the last
    block has 11,171,146.
    """

    def __init__(self, shape: Shape = (3, 32, 32), classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(shape[0], WIDTHS[0], 3, padding=1, bias=False)
        self.blocks = _groups(PreActivationBlock)
        self.norm = nn.BatchNorm2d(WIDTHS[-1])
        self.output = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.blocks(self.conv(x))))
        return self.output(x.mean((2, 3)))


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and a shortcut. If the image shrinks, the shortcut is
    a 1 x 1 convolution with batch norm."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.shortcut = None
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + (x if self.shortcut is None else self.shortcut(x)))


def _groups(block: type[Block] | type[PreActivationBlock]) -> nn.Sequential:
    """Return four groups of two blocks; the second to fourth begin with stride 2."""
    layers: list[nn.Module] = []
    for inputs, width in zip(WIDTHS[:1] + WIDTHS, WIDTHS, strict=False):
        layers.append(block(inputs, width, 1 if inputs == width else 2))
        layers.append(block(width, width, 1))
    return nn.Sequential(*layers)
