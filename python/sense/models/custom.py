"""Networks of the user's own: by the name of a factory, or as an object."""

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
INSTANCE = r"an instance of ([\w.<>]+)"


def custom_model_name(model: nn.Module) -> str:
    """What config.json says of a network that was handed over as an object."""
    return f"an instance of {type(model).__qualname__}"


def reject_custom_model(name: str) -> None:
    """Raise ValueError for the name of a network that only its maker has."""
    if found := re.fullmatch(INSTANCE, name):
        raise InputError(
            f"the network of this run, a {found[1]}, was handed over as an object: hand it over "
            "again, as model=... in Python or --model MODULE:FACTORY in the shell"
        )


def trusted_model_name(
    given: str | None, named: str, where: Path | str, option: str = "model"
) -> str:
    """The name of the network to build: the one that was given, else the one that the folder names,
    unless that is a factory. Its module is code of whoever made the folder, which must not run
    because somebody reads it.

    `where` is the file that names it, `option` the argument by which a user names it again.
    """
    if given is not None:
        return given
    if re.fullmatch(FACTORY, named):
        raise InputError(
            f"{where} names the network {named}, code that would be run with your rights. If you "
            f'know what it is, name it yourself: {option} = "{named}", or in the shell '
            f"--{option.replace('_', '-')} {named}"
        )
    return named


def build_from_factory(name: str, shape: Shape, classes: int) -> nn.Module:
    """What the factory of "module:factory" gives, called with (shape, classes), or with nothing
    where it needs nothing. The module may lie in the working directory."""
    module_name, attribute = name.split(":")
    with _working_directory():
        factory: Any = _import(module_name, name)
        for part in attribute.split("."):
            if not hasattr(factory, part):
                raise InputError(f"model {name}: {module_name} has no {attribute}")
            factory = getattr(factory, part)
        if not callable(factory):
            raise InputError(
                f"model {name}: {attribute} is no function or class, so it makes nothing"
            )
        model = factory(shape, classes) if _asks_for_sizes(factory) else factory()
    if not isinstance(model, nn.Module):
        raise InputError(f"model {name} gave a {type(model).__name__}, not a torch.nn.Module")
    return model


def _asks_for_sizes(factory: Any) -> bool:
    """Whether it has arguments without a default, or its first two are called shape and classes."""
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
    """Inside, modules of the working directory can be imported."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
