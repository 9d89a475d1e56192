"""Networks by name. `build_model("small-cnn", (1, 28, 28), 10)`."""

import re
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..errors import InputError
from ..extensions import IMPORTABLE
from ..networks import initialise_lazy_modules, torch_defaults
from ..random_numbers import preserved_random_state
from .capacity_cnn import CapacityCNN
from .cifar_cnn import CifarCNN
from .custom import CUSTOM_MODEL, build_from_factory, reject_custom_model
from .iaat_wide_resnet import IaatWideResNet
from .mlp import MLP, linear, mlp
from .normalised import Normalised
from .resnet import ResNet
from .resnet18 import PreActResNet18, ResNet18
from .small_cnn import Shape, SmallCNN
from .wide_resnet import WideResNet

MODELS = {
    "small-cnn": "TRADES's SmallCNN, the paper's MNIST network",
    "capacity-D": "the paper's CNN of capacity D = 1, 2, 3 ... (section 5.2.1)",
    "cifar-cnn-1, cifar-cnn-2": "the paper's CNNs of section 5.3.4",
    "resnet20, resnet32, resnet44, resnet56": "the paper's ResNets of section 5.3.3",
    "resnet18": "ResNet-18 in the form for images of 32 x 32",
    "preact-resnet18": "PreActResNet-18, the usual network of adversarial training on CIFAR10",
    "wrn-34-10": "the paper's WideResNet, or any wrn-DEPTH-WIDTH",
    "wrn-10-4-s2": "a WideResNet whose first convolution has stride 2, about four times as fast",
    "iaat-wrn-32-10": "the WideResNet of IAAT's authors",
    "mlp, mlp-64-64": "hidden layers of these widths with ReLU, for a table (or small images)",
    "linear": "multinomial logistic regression",
    "MODULE:FACTORY": "a custom network: what FACTORY in the importable MODULE returns",
}
MAX_PARAMETERS = 2_000_000_000  # 8 GB in float32; WRN-94-16 has 366 million
# Pattern of the name: class, which is called with the numbers in the name.
_FOR_ANY_SHAPE: dict[str, Callable[..., nn.Module]] = {
    r"mlp((?:-[1-9]\d{0,5}){0,9})": mlp,
    r"linear": linear,
}
_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    r"small-cnn": SmallCNN,
    r"capacity-([1-9])": CapacityCNN,
    r"cifar-cnn-([12])": CifarCNN,
    r"resnet18": ResNet18,
    r"preact-resnet18": PreActResNet18,
    r"resnet(20|32|44|56|110)": ResNet,
    r"wrn-(10|16|22|28|34|40|70)-(\d{1,6})(-s2|)": WideResNet,
    r"iaat-wrn-(8|14|20|26|32)-(\d{1,6})": IaatWideResNet,
    **_FOR_ANY_SHAPE,
}

__all__ = [
    "MLP",
    "MODELS",
    "CapacityCNN",
    "CifarCNN",
    "IaatWideResNet",
    "Normalised",
    "PreActResNet18",
    "ResNet",
    "ResNet18",
    "Shape",
    "SmallCNN",
    "WideResNet",
    "build_for_weights",
    "build_model",
    "check_model_name",
]


@torch_defaults()
def build_model(name: str, shape: Shape, classes: int) -> nn.Module:
    """Create a network, initialised from torch's global random state.

    Parameters
    ----------
    name
        As in `MODELS`.
    shape
        (channels, height, width) of an image, or (d,) for d features.
    classes
        Number of classes.
    """
    check_model_name(name)
    for pattern, network in _NETWORKS.items():
        if found := re.fullmatch(pattern, name):
            if len(shape) != 3 and pattern not in _FOR_ANY_SHAPE:
                raise InputError(f"{name} takes images: for a table, choose mlp or linear")
            numbers = [int(n) for group in found.groups() for n in re.findall(r"\d+", group)]
            build = partial(network, *numbers, shape=shape, classes=classes)
            check_parameter_count(name, build, shape)
            return build()
    reject_custom_model(name)
    return build_from_factory(name, shape, classes)


def check_parameter_count(name: str, build: Callable[[], nn.Module], shape: Shape) -> None:
    """Raise InputError, before memory is allocated, for a network with more than `MAX_PARAMETERS`
    or one that cannot be created."""
    try:
        with preserved_random_state(), torch.device("meta"):
            count = sum(parameter.numel() for parameter in build().parameters())
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{name} cannot be created for inputs of shape {shape}: {reason}"
        ) from None
    if count > MAX_PARAMETERS:
        raise InputError(
            f"{name} would have {count:,} parameters for inputs of shape {shape}, more "
            f"than the allowed {MAX_PARAMETERS:,}: choose a smaller network"
        )


def build_for_weights(model: nn.Module | str, shape: Shape, classes: int) -> nn.Module:
    """Return the network, or that of `build_model`, for weights that are to be loaded: each of its
    weights has its shape, those of lazy modules too. torch's random state is unchanged."""
    with preserved_random_state():
        network = model if isinstance(model, nn.Module) else build_model(model, shape, classes)
        initialise_lazy_modules(network, torch.zeros(1, *shape, dtype=torch.float32))
    return network


def check_model_name(name: str) -> None:
    """Raise InputError, which lists the known models, for an unknown name."""
    patterns = (*_NETWORKS, IMPORTABLE, CUSTOM_MODEL)
    if not any(re.fullmatch(pattern, str(name)) for pattern in patterns):
        known = "; ".join(f"{key}: {text}" for key, text in MODELS.items())
        raise InputError(f"unknown model {name!r}. There are {known}")
