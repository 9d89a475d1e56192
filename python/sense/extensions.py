"""Code of the user's own in place of a name: a network, method, optimizer, schedule, augmentation
or attack.

In Python it is passed as an object; in the shell, in R and in files it has a name, MODULE:NAME.
Results hold only the name. A name in a stored file is not imported: its code would run with the
rights of whoever reads the file.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from .errors import InputError

IMPORTABLE = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"
# Functions within functions, and lambdas, also have names, but cannot be imported.
_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_<][\w.<>]*", re.ASCII)
MAX_LENGTH = 200


class Code(str):
    """The name of code, together with the code. Any other string is a name that was not imported.

    Attributes
    ----------
    code
        The callable.
    """

    code: Callable[..., Any]

    @classmethod
    def of(cls, thing: Callable[..., Any]) -> "Code":
        """Return an object that was passed in memory, with its name."""
        found = cls(code_name(thing))
        found.code = thing
        return found

    @classmethod
    def named(cls, name: str, what: str) -> "Code":
        """Import MODULE:NAME; `what` names its kind in messages."""
        found = cls(name)
        found.code = import_code(name, what)
        return found

    def __deepcopy__(self, memo: Any) -> "Code":
        return self


def as_code(value: Any) -> Any:
    """Return a callable as `Code`, any other value unchanged."""
    return Code.of(value) if callable(value) else value


def is_code(name: Any) -> bool:
    """Return whether this is the name of code: MODULE:NAME, or the name of an object that was
    passed in memory."""
    return isinstance(name, str) and len(name) <= MAX_LENGTH and bool(_NAME.fullmatch(name))


def code_name(thing: Callable[..., Any]) -> str:
    """Return the name of a function, a class or, for any other object, its class, as
    MODULE:QUALIFIED_NAME. A script that runs as `__main__` has the name of its file."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    module = named.__module__
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = re.sub(r"\W", "_", Path(file).stem) if file else "main"
    name = f"{module}:{named.__qualname__}"
    if not is_code(name):
        raise InputError(f"{name!r} cannot be the name of code: choose a name of letters")
    return name


def import_code(name: str, what: str) -> Any:
    """Return the object that MODULE:NAME names; `what` names its kind in messages. The module may
    be in the working directory."""
    module_name, attribute = name.split(":")
    if not re.fullmatch(IMPORTABLE, name):
        raise InputError(f"{what} {name} was passed in memory: pass it again, in Python")
    with _working_directory():
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise InputError(f"{what} {name}: cannot import {module_name} ({error})") from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise InputError(f"{what} {name}: {module_name} has no {attribute}")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{what} {name}: {attribute} is not callable")
    return found


def check_returned_images(result: Any, x: Tensor, what: str) -> None:
    """Raise InputError unless code of the user's own, `what` in the message, returned images of the
    shape, type and device of x."""
    expected = (x.shape, x.dtype, x.device)
    if not isinstance(result, Tensor) or (result.shape, result.dtype, result.device) != expected:
        got = (
            f"{result.dtype} of shape {tuple(result.shape)} on {result.device}"
            if isinstance(result, Tensor)
            else type(result).__name__
        )
        raise InputError(
            f"{what} must return images as it received them, {x.dtype} of shape "
            f"{tuple(x.shape)} on {x.device}, got {got}"
        )


def trusted_name(
    given: str | None,
    stored: str,
    source: Path | str,
    option: str = "model",
    what: str = "network",
) -> str:
    """Return the name to use: the one `given` by the user or, if that is None, the `stored` one.

    Raises InputError if the stored name is one of code, which must not run only because a file is
    read. `source` is that file; `what` is named by `option`, with which the user can confirm it.
    """
    if given is not None:
        return given
    if re.fullmatch(IMPORTABLE, stored):
        raise InputError(
            f"{source} names the {what} {stored}, code that would be run with your rights. If you "
            f'trust it, name it yourself: {option} = "{stored}", or in the shell '
            f"--{option.replace('_', '-')} {stored}"
        )
    if is_code(stored):
        raise InputError(
            f"{source} names the {what} {stored}, which was passed in memory: pass it again, as "
            f"{option}=... in Python"
        )
    return stored


@contextmanager
def _working_directory() -> Iterator[None]:
    """Make modules of the working directory importable."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
