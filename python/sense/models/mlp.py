"""Networks for tables of features: a multilayer perceptron and multinomial logistic regression."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

DEFAULT_WIDTHS = (64, 64)  # of the hidden layers of "mlp"


class MLP(nn.Module):
    """Linear layers with ReLU between them, for features of any shape, which are flattened.

    Parameters
    ----------
    widths
        Number of units of each hidden layer. None: multinomial logistic regression.
    shape
        Shape of one input.
    classes
        Number of classes.
    """

    def __init__(self, widths: Sequence[int], shape: Sequence[int], classes: int) -> None:
        super().__init__()
        sizes = [math.prod(shape), *widths]
        self.hidden = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)
        )
        self.output = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.hidden:
            x = layer(x).relu()
        logits: Tensor = self.output(x)
        return logits


def mlp(*sizes: int, shape: Sequence[int], classes: int) -> MLP:
    """Return the network "mlp-64-64" of these widths; without widths, of `DEFAULT_WIDTHS`."""
    return MLP(sizes or DEFAULT_WIDTHS, shape, classes)


def linear(shape: Sequence[int], classes: int) -> MLP:
    """Return the network "linear", without a hidden layer."""
    return MLP((), shape, classes)
