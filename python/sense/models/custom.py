"""Custom networks: the name of a factory, or an object passed in memory."""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import InputError
from .small_cnn import Shape

FACTORY = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"
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


def trusted_model_name(
    model: str | None, stored: str, source: Path | str, option: str = "model"
) -> str:
    """Return the name of the network to build: `model`, or if that is None, the `stored` name.

    Raises InputError if the stored name is a factory: its code comes from whoever made the folder
    and must not run only because the folder is read. `source` is the file that holds the name,
    `option` the argument with which the user can confirm it.
    """
    if model is not None:
        return model
    if re.fullmatch(FACTORY, stored):
        raise InputError(
            f"{source} names the network {stored}, code that would be run with your rights. If you "
            f'trust it, name it yourself: {option} = "{stored}", or in the shell '
            f"--{option.replace('_', '-')} {stored}"
        )
    return stored


def build_from_factory(name: str, shape: Shape, classes: int) -> nn.Module:
    """Return the network that the factory of "module:factory" creates, called with (shape, classes)
    or, if it needs no arguments, without. The module may be in the working directory."""
    module_name, attribute = name.split(":")
    with _working_directory():
        factory: Any = _import(module_name, name)
        for part in attribute.split("."):
            if not hasattr(factory, part):
                raise InputError(f"model {name}: {module_name} has no {attribute}")
            factory = getattr(factory, part)
        if not callable(factory):
            raise InputError(f"model {name}: {attribute} is not callable")
        model = factory(shape, classes) if _needs_sizes(factory) else factory()
    if not isinstance(model, nn.Module):
        raise InputError(f"model {name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _needs_sizes(factory: Any) -> bool:
    """Return whether the factory has arguments without a default, or its first two are called shape
    and classes."""
    arguments = inspect.signature(factory).parameters.values()
    positional = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    needed = any(argument.default is argument.empty for argument in positional)
    return needed or [argument.name for argument in positional[:2]] == ["shape", "classes"]


def _import(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"model {name}: cannot import {module} ({error})") from None


@contextmanager
def _working_directory() -> Iterator[None]:
    """Make modules of the working directory importable."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
