"""The networks of increasing size of section 5.2.1, "capacity d"."""

from torch import Tensor, nn

from ..errors import InputError
from .greyscale import GreyscaleConv2d
from .small_cnn import Shape


class CapacityCNN(nn.Module):
    """Two 5 x 5 convolutions of 2^(d-1) and 2^d kernels, each with ReLU and 2 x 2 max-pooling,
    and a linear layer of 2^(d+4) units.

    The paper does not say how borders are padded. With the usual "same" padding, as here,
    d = 1 .. 6 have 3,576, 13,514, 52,506, 206,954, 821,706 and 3,274,634 parameters on MNIST.
    """

    def __init__(self, capacity: int, shape: Shape = (1, 28, 28), classes: int = 10) -> None:
        super().__init__()
        channels, height, width = shape
        if height < 4 or width < 4:
            raise InputError(f"capacity-D needs images of at least 4 x 4, got {height} x {width}")
        kernels, units = 2**capacity, 2 ** (capacity + 4)
        # ReLU after max-pooling gives the same result as before it, from a quarter of the values.
        self.layers = nn.Sequential(
            GreyscaleConv2d(channels, kernels // 2, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(kernels // 2, kernels, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(kernels * (height // 4) * (width // 4), units),
            nn.ReLU(),
            nn.Linear(units, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
