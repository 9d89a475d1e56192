"""Residual networks for small images (He et al. 2016, section 4.2): ResNet-20, 32, 44 and 56, as in
the paper's section 5.3.3."""

import torch.nn.functional as F
from torch import Tensor, nn

from .small_cnn import Shape


class ResNet(nn.Module):
    """6 n + 2 layers: a 3 x 3 convolution, three groups of n blocks with 16, 32 and 64 channels,
    the mean over the image, a linear layer.

    Shortcuts have no parameters (option A). On CIFAR10 depths 20, 32, 44 and 56 have 269,722,
    464,154, 658,586 and 853,018 parameters.
    """

    def __init__(self, depth: int, shape: Shape = (3, 32, 32), classes: int = 10) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv = nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        layers = []
        for inputs, width in ((16, 16), (16, 32), (32, 64)):
            layers.append(Block(inputs, width, stride=1 if inputs == width else 2))
            layers += [Block(width, width, stride=1) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(*layers)
        self.output = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.output(x.mean((2, 3)))


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut. If the image shrinks, the shortcut takes every second
    pixel and adds channels of zeros, half of them before and half after."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.stride, self.added = stride, width - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added // 2))
        return F.relu(out + x)
