"""Networks by name. `build_model("small-cnn", (1, 28, 28), 10)`."""

import re

from torch import nn

from .capacity_cnn import CapacityCNN
from .small_cnn import Shape, SmallCNN

MODELS = {
    "small-cnn": "TRADES's SmallCNN, the paper's MNIST network",
    "capacity-D": "the paper's CNN of capacity D = 1, 2, 3 ... (section 5.2.1)",
}

__all__ = ["MODELS", "CapacityCNN", "Shape", "SmallCNN", "build_model", "check_model_name"]


def build_model(name: str, shape: Shape, classes: int) -> nn.Module:
    """A new network, initialised from torch's global random state.

    Parameters
    ----------
    name
        "small-cnn" or "capacity-1", "capacity-2", ...
    shape
        (channels, height, width) of an image.
    classes
        Number of classes.
    """
    check_model_name(name)
    if name == "small-cnn":
        return SmallCNN(shape, classes)
    return CapacityCNN(int(name.removeprefix("capacity-")), shape, classes)


def check_model_name(name: str) -> None:
    """Raise ValueError, naming the models there are, for an unknown name."""
    if name != "small-cnn" and not re.fullmatch(r"capacity-[1-9]", str(name)):
        known = "; ".join(f"{key}: {text}" for key, text in MODELS.items())
        raise ValueError(f"unknown model {name!r}. There are {known}")
