"""Errors of the user's input. The message says what is wrong, what was received and what to do.

The commands and R show only the message. Any other error is a bug of this package or of torch and
is shown with its traceback.
"""

import shlex
from pathlib import Path


class InputError(ValueError):
    """The input cannot be used."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder does not exist."""


class FileError(InputError, OSError):
    """A file cannot be read or written, for example because the disk is full."""


class TakenError(InputError, FileExistsError):
    """A folder to write to is in use or already holds files of a run."""


class MissingPackageError(InputError, ImportError):
    """A required package is not installed."""


class OtherDataError(InputError):
    """A run was made with other data than those that were passed."""


class NotFiniteError(InputError, FloatingPointError):
    """An output of a network, a loss, a weight or a gradient is NaN or infinite."""


class LostProcessError(InputError, ConnectionError):
    """Another process of the same training has ended or does not respond."""


def in_shell(path: Path) -> str:
    """Return a path as a command in a message needs it: quoted if it has spaces and the like."""
    return shlex.quote(str(path))
