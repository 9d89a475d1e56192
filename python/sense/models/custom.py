"""Custom networks: the name of a factory, or an object passed in memory."""

import inspect
import re
from typing import Any

from torch import nn

from ..errors import InputError
from ..extensions import import_code
from .small_cnn import Shape

CUSTOM_MODEL = r"an instance of ([\w.<>]+)"


def custom_model_name(model: nn.Module) -> str:
    """Return what config.json holds as the name of a network that was passed in memory."""
    return f"an instance of {type(model).__qualname__}"


def reject_custom_model(name: str) -> None:
    """Raise InputError for the name of a network that was passed in memory."""
    if found := re.fullmatch(CUSTOM_MODEL, name):
        raise InputError(
            f"the network of this run, a {found[1]}, was passed in memory: pass it again, "
            "as model=... in Python or --model MODULE:FACTORY in the shell"
        )


def build_from_factory(name: str, shape: Shape, classes: int) -> nn.Module:
    """Return the network that the factory of "module:factory" creates, called with (shape, classes)
    or, if it needs no arguments, without. The module may be in the working directory."""
    factory = import_code(name, "model")
    _check_arguments(name, factory)
    model = factory(shape, classes) if _needs_sizes(factory) else factory()
    if not isinstance(model, nn.Module):
        raise InputError(f"model {name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _check_arguments(name: str, factory: Any) -> None:
    """Raise InputError for a factory that cannot be called with (shape, classes), nor without."""
    signature = inspect.signature(factory)
    for arguments in (((), 0), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return
    raise InputError(
        f"model {name} must be a function of (shape, classes), or of no arguments, got "
        f"{name.partition(':')[2]}{signature}"
    )


def _needs_sizes(factory: Any) -> bool:
    """Return whether the factory has arguments without a default, or its first two are called shape
    and classes."""
    arguments = inspect.signature(factory).parameters.values()
    positional = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    needed = any(argument.default is argument.empty for argument in positional)
    return needed or [argument.name for argument in positional[:2]] == ["shape", "classes"]
