"""The only module that writes files and reads those of a run folder.

A file is written to a temporary file with a random name in the same folder, flushed to the disk and
renamed, so it is never incomplete. A file is read only if it is a regular file of at most the
expected size. Errors of the disk become errors of the user's input that say what to do.
"""

import errno
import gzip
import json
import os
import secrets
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import FileError, InputError, MissingFileError

# The name of a temporary file, which a killed process may leave behind.
TEMPORARY_NAME = r"\.[0-9a-f]{16}\.part"

# Some systems lack some of these. O_NONBLOCK: opening a FIFO without a writer does not wait.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)

XZ_MEMORY = 1 << 27  # of the decoder, in bytes; the largest of the usual presets takes 65 MiB

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, or choose a folder elsewhere",
    errno.EDQUOT: "your disk quota is used up: free some space, or choose a folder elsewhere",
    errno.EFBIG: "the file would be larger than is allowed here: choose a folder elsewhere",
    errno.EROFS: "the disk is read-only: choose a folder elsewhere",
    errno.EACCES: "permission is denied: change its permissions, or choose a folder elsewhere",
    errno.EPERM: "it is not permitted: change its permissions, or choose a folder elsewhere",
    errno.EISDIR: "a folder of this name is in the way: remove it",
    errno.ENOTEMPTY: "a folder of this name is in the way: remove it",
    errno.ENOTDIR: "a part of its path is a file, not a folder: choose another path",
    errno.EEXIST: "something of this name is in the way: remove it",
    errno.ENAMETOOLONG: "its name is too long: choose a shorter one",
    errno.ELOOP: "it is a link, and links are not followed: replace it by the file itself",
}


def write_atomically(path: Path, content: bytes | str, backup: Path | None = None) -> None:
    """Write a file so that it has either its old or its new content, even if the process is killed.

    The old file is moved to `backup` if that is given.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    with _disk_errors("write", path):
        try:
            _write_new(part, data)
            if backup is not None and path.is_file():
                os.replace(path, backup)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
        _sync_folder(path.parent)


def append_to(path: Path, content: bytes, size: int) -> None:
    """Append to a file of `size` bytes. The content is on the disk when this returns.

    Raises InputError if the file has another size or a hard link.
    """
    with (
        _disk_errors("write", path),
        _open_regular_file(path, os.O_WRONLY) as (file, found),
    ):
        if found.st_nlink > 1:
            raise InputError(f"{path} has a hard link: replace it by a copy")
        if found.st_size != size:
            raise InputError(
                f"{path} was changed while it was being written: it should have {size} bytes, has "
                f"{found.st_size}. Start again in another folder"
            )
        os.lseek(file, size, os.SEEK_SET)
        _write_all(file, content)
        os.fsync(file)


def read_file(path: Path, limit: int, follow: bool = False) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises InputError for a larger file, a FIFO, a device, a folder and, unless `follow`, a link.
    """
    with (
        _disk_errors("read", path),
        _open_regular_file(path, os.O_RDONLY, follow) as (file, found),
    ):
        if found.st_size > limit:
            raise InputError(
                f"{path} has {found.st_size} bytes, where at most {limit} were expected: it is "
                "damaged or not a file of this kind"
            )
        with os.fdopen(os.dup(file), "rb") as reader:
            try:
                return reader.read(found.st_size)
            except MemoryError:
                raise InputError(
                    f"{path} has {found.st_size:,} bytes, more than the available memory: it is "
                    "not a file of this kind, or needs a larger machine"
                ) from None


@contextmanager
def appended_file(path: Path) -> Iterator[int]:
    """Give the descriptor of a file that is appended to, such as the log of another process. It is
    created if it does not exist.

    Raises InputError for anything but a regular file.
    """
    with ExitStack() as stack:
        with _disk_errors("write", path):
            opened = _open_regular_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            file, _ = stack.enter_context(opened)
        yield file


MIN_FREE = 2**30  # bytes that a temporary file leaves free on the disk
WRITTEN_AT_ONCE = 2**24


@contextmanager
def continued_file(path: Path, size: int) -> Iterator[Callable[[bytes], None]]:
    """Give a function that appends to a file, of which the first `size` bytes are kept. It is
    created if it does not exist. At the end its content is on the disk."""
    with appended_file(path) as file:
        with _disk_errors("write", path):
            os.ftruncate(file, size)

        def write(data: bytes) -> None:
            with _disk_errors("write", path):
                _write_all(file, data)

        yield write
        with _disk_errors("write", path):
            os.fsync(file)


def file_size(path: Path) -> int:
    """Return the bytes of a file, 0 if it does not exist. A link is not followed."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def rename_file(path: Path, name: Path) -> None:
    """Give a file another name, in place of a file that has it, or move a folder on the same
    disk."""
    with _disk_errors("write", name):
        os.replace(path, name)
        _sync_folder(name.parent)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a new folder, which is removed with its content at the end."""
    with tempfile.TemporaryDirectory(prefix="sense-") as folder:
        yield Path(folder)


class Spool:
    """Bytes that are written once and then read as an array: in memory, or beyond `limit` bytes in
    a temporary file, which is deleted with the array."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._memory = bytearray()
        self._file: Any = None

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, content: bytes | memoryview) -> None:
        """Append bytes. Raises FileError if less than 1 GiB would be free on the disk."""
        self._memory += content
        self.size += memoryview(content).nbytes
        if len(self._memory) <= (self.limit if self._file is None else WRITTEN_AT_ONCE):
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  __exit__ closes it
        folder = tempfile.gettempdir()
        if shutil.disk_usage(folder).free < MIN_FREE:
            raise FileError(
                f"{self.size:,} bytes were read, and the disk of {folder} is nearly full: does the "
                "data end? Set TMPDIR to a folder on a larger disk, or pass a map-style dataset"
            )
        self._file.write(self._memory)
        self._memory = bytearray()

    def as_array(self, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return what was written as an array, which cannot be changed if it is in a file."""
        if self._file is None:
            return np.frombuffer(self._memory, dtype).reshape(shape)
        self._file.write(self._memory)
        self._file.flush()
        return np.memmap(self._file, dtype, "r", shape=shape)


def make_folders(path: Path) -> list[Path]:
    """Create a folder and its parents. Returns the created folders, the outermost first."""
    made: list[Path] = []
    with _disk_errors("create the folder", path):
        missing = []
        for folder in (path, *path.parents):
            if folder.is_dir():
                break
            missing.append(folder)
        for folder in reversed(missing):
            try:
                os.mkdir(folder)
            except FileExistsError:
                if not folder.is_dir():
                    raise
            else:
                made.append(folder)
    return made


def make_new_folder(path: Path) -> Path:
    """Create a new folder: `path`, or if it exists, `path` with -2, -3 ... added to its name.
    Concurrent processes get different folders."""
    make_folders(path.parent)
    with _disk_errors("create the folder", path):
        for number in range(1, 10_000):
            folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
            with suppress(FileExistsError):
                os.mkdir(folder)
                return folder
    raise InputError(f"there are too many folders named {path}-2, -3 ...: choose another name")


def remove_file(path: Path) -> None:
    """Remove a file if it exists. A link is removed, not its target."""
    with _disk_errors("remove", path), suppress(FileNotFoundError):
        os.unlink(path)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder if it is empty."""
    with suppress(OSError):
        os.rmdir(folder)


def parse_json(content: bytes | str, source: Path | str) -> dict[str, Any]:
    """Return a JSON object. Raises InputError for duplicate names, NaN and infinity."""
    try:
        value = json.loads(
            content, object_pairs_hook=_check_unique_names, parse_constant=_reject_constant
        )
    except RecursionError:
        raise InputError(f"{source} is not JSON of this package: it is nested too deeply") from None
    except ValueError as error:  # of JSON, of UTF-8, of numbers with too many digits
        raise InputError(f"{source} is not JSON, or damaged: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{source} must hold a JSON object, got {type(value).__name__}")
    return value


def gunzip(content: bytes, limit: int, source: Path | str) -> bytes:
    """Return the unzipped content, of at most `limit` bytes, without using more memory."""
    try:
        reader = zlib.decompressobj(wbits=31)
        found = reader.decompress(content, limit + 1)
    except zlib.error as error:
        raise InputError(f"{source} is not a gzip file, or damaged: {error}") from None
    _check_end("gzip", found, limit, reader.eof and not reader.unused_data, source)
    return found


def unxz(content: bytes, limit: int, source: Path | str) -> bytes:
    """Return the content of an xz file, of at most `limit` bytes, without using more memory."""
    found, ended = unxz_beginning(content, limit + 1, source)
    _check_end("xz", found, limit, ended, source)
    return found


def unxz_beginning(content: bytes, length: int, source: Path | str) -> tuple[bytes, bool]:
    """Return the beginning of the content of an xz file, of at most `length` bytes, and whether the
    stream ends there, with the file."""
    try:
        import lzma  # some builds of Python lack it
    except ImportError:
        raise InputError(
            f"{source} is compressed by xz, and this Python was built without the module lzma: use "
            "another Python, or one that is built with liblzma"
        ) from None
    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)
    try:
        found = reader.decompress(content, length)
    except lzma.LZMAError as error:
        raise InputError(f"{source} is not an xz file, or damaged: {error}") from None
    return found, reader.eof and not reader.unused_data


def gzip_bytes(content: bytes) -> bytes:
    """Return gzipped content, always the same bytes for the same content."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def _check_end(kind: str, found: bytes, limit: int, ended: bool, source: Path | str) -> None:
    """Raise InputError if unzipped content is too long, or has not ended with its file."""
    if len(found) > limit:
        raise InputError(f"{source} holds more than the expected {limit} bytes: it is damaged")
    if not ended:
        raise InputError(f"{source} is damaged: its {kind} stream does not end where the file ends")


def _check_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return found


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _write_new(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _FLAGS, 0o666)
    try:
        _write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    if os.name == "nt":
        return  # Windows cannot open folders
    file = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not supported by the disk
            raise
    finally:
        os.close(file)


@contextmanager
def _open_regular_file(
    path: Path, mode: int, follow: bool = False
) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file. Its kind is checked before, as opening a device can have an effect, and
    after, as the file may have been replaced meanwhile."""
    if not mode & os.O_CREAT or os.path.lexists(path):
        _check_regular_file(path, os.stat(path) if follow else os.lstat(path))
    file = os.open(path, mode | _FLAGS | (0 if follow else _NO_FOLLOW), 0o666)
    try:
        found = os.fstat(file)
        _check_regular_file(path, found)
        yield file, found
    finally:
        os.close(file)


def _check_regular_file(path: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kinds = {
        stat.S_IFLNK: "a link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = kinds.get(stat.S_IFMT(found.st_mode), "something else")
    raise InputError(f"{path} is {kind}, not a regular file: replace it by the file itself")


@contextmanager
def _disk_errors(verb: str, path: Path) -> Iterator[None]:
    """Raise errors of the disk as errors of the user's input."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"cannot {verb} {path}: it or its folder does not exist") from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error}: check the disk")
        raise FileError(f"cannot {verb} {path}: {advice}") from error
    except ValueError as error:  # such as a null byte in the name
        raise FileError(f"cannot {verb} {path!r}: {error}") from error
