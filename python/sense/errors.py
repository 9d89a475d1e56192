"""Errors of the user's input. Their message says what was wrong, what was received and what to do.

The commands, and R, show these as their message alone. Any other error is a fault of this package
or of torch, and keeps its traceback.
"""


class InputError(ValueError):
    """What the user gave cannot be used."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that was named, or is needed, is not there."""


class FileError(InputError, OSError):
    """A file cannot be read or written: the disk is full, permission is denied ..."""


class TakenError(InputError, FileExistsError):
    """A place to write to holds something already."""


class MissingPackageError(InputError, ImportError):
    """A package that is needed for what was asked is not installed."""


class NotFiniteError(InputError, FloatingPointError):
    """A network gave, or its training led to, numbers that are NaN or infinite."""


class LostProcessError(InputError, ConnectionError):
    """Another process of the same training has ended, or hangs."""
