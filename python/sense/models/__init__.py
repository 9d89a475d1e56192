"""Networks by name. `build_model("small-cnn", (1, 28, 28), 10)`."""

import re
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..errors import InputError
from ..networks import torch_defaults
from ..random_numbers import preserved_random_state
from .capacity_cnn import CapacityCNN
from .cifar_cnn import CifarCNN
from .custom import FACTORY, INSTANCE, build_from_factory, reject_custom_model
from .iaat_wide_resnet import IaatWideResNet
from .resnet import ResNet
from .small_cnn import Shape, SmallCNN
from .wide_resnet import WideResNet

MODELS = {
    "small-cnn": "TRADES's SmallCNN, the paper's MNIST network",
    "capacity-D": "the paper's CNN of capacity D = 1, 2, 3 ... (section 5.2.1)",
    "cifar-cnn-1, cifar-cnn-2": "the paper's CNNs of section 5.3.4",
    "resnet20, resnet32, resnet44, resnet56": "its ResNets of section 5.3.3",
    "wrn-34-10": "its WideResNet, or any wrn-DEPTH-WIDTH",
    "iaat-wrn-32-10": "that of IAAT's authors",
    "MODULE:FACTORY": "your own network: what FACTORY in the importable MODULE gives",
}
MOST_PARAMETERS = 2_000_000_000  # 8 GB in float32; WRN-94-16 has 366 million
# A pattern of names, and what is made of the numbers in it.
_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    r"small-cnn": SmallCNN,
    r"capacity-([1-9])": CapacityCNN,
    r"cifar-cnn-([12])": CifarCNN,
    r"resnet(20|32|44|56|110)": ResNet,
    r"wrn-(10|16|22|28|34|40|70)-(\d{1,6})": WideResNet,
    r"iaat-wrn-(8|14|20|26|32)-(\d{1,6})": IaatWideResNet,
}

__all__ = [
    "MODELS",
    "CapacityCNN",
    "CifarCNN",
    "IaatWideResNet",
    "ResNet",
    "Shape",
    "SmallCNN",
    "WideResNet",
    "build_for_weights",
    "build_model",
    "check_model_name",
]


@torch_defaults()
def build_model(name: str, shape: Shape, classes: int) -> nn.Module:
    """A new network, initialised from torch's global random state.

    Parameters
    ----------
    name
        As in `MODELS`.
    shape
        (channels, height, width) of an image.
    classes
        Number of classes.
    """
    check_model_name(name)
    for pattern, network in _NETWORKS.items():
        if found := re.fullmatch(pattern, name):
            build = partial(network, *map(int, found.groups()), shape, classes)
            check_size(name, build, shape)
            return build()
    reject_custom_model(name)
    return build_from_factory(name, shape, classes)


def check_size(name: str, build: Callable[[], nn.Module], shape: Shape) -> None:
    """Raise ValueError, before memory is taken, for a network of more than `MOST_PARAMETERS`, or
    one that cannot be laid out at all."""
    try:
        with preserved_random_state(), torch.device("meta"):
            count = sum(parameter.numel() for parameter in build().parameters())
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name} cannot be made for images of {shape}: {reason}") from None
    if count > MOST_PARAMETERS:
        raise InputError(
            f"{name} would have {count:,} parameters for images of {shape}, at most "
            f"{MOST_PARAMETERS:,} are made: choose a smaller network"
        )


def build_for_weights(name: str, shape: Shape, classes: int) -> nn.Module:
    """`build_model` for weights from elsewhere: its own are drawn in vain, so torch's random state
    is left as it was."""
    with preserved_random_state():
        return build_model(name, shape, classes)


def check_model_name(name: str) -> None:
    """Raise ValueError, naming the models there are, for an unknown name."""
    patterns = (*_NETWORKS, FACTORY, INSTANCE)
    if not any(re.fullmatch(pattern, str(name)) for pattern in patterns):
        known = "; ".join(f"{key}: {text}" for key, text in MODELS.items())
        raise InputError(f"unknown model {name!r}. There are {known}")
