"""The one place where files are written and read.

A file is written beside its final place under a name that nobody can know, flushed to the disk,
then renamed: it is whole or not there. A file is read only where it is a plain file of a size that
was expected. What the disk refuses is told as an error of the user's input, with what to do.
"""

import errno
import gzip
import json
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import FileError, InputError, MissingFileError

# The temporary name of a file that is being written: what a killed process may leave.
TEMPORARY_NAME = r"\.[0-9a-f]{16}\.part"

# Not all systems have each of these. O_NONBLOCK: to open a FIFO without a writer does not wait.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, or choose a folder elsewhere",
    errno.EDQUOT: "your share of the disk is full: free some space, or choose a folder elsewhere",
    errno.EFBIG: "the file would be larger than is allowed here: choose a folder elsewhere",
    errno.EROFS: "the disk is read-only: choose a folder elsewhere",
    errno.EACCES: "permission is denied: change its permissions, or choose a folder elsewhere",
    errno.EPERM: "it is not permitted: change its permissions, or choose a folder elsewhere",
    errno.EISDIR: "a folder of this name is in the way: remove it",
    errno.ENOTEMPTY: "a folder of this name is in the way: remove it",
    errno.ENOTDIR: "a part of its path is a file, not a folder: choose another",
    errno.EEXIST: "something of this name is in the way: remove it",
    errno.ENAMETOOLONG: "its name is too long: choose a shorter one",
    errno.ELOOP: "it is a link, which is not followed: put the file itself there",
}


def write_atomically(path: Path, content: bytes | str, keep: Path | None = None) -> None:
    """Write a file, which is there as it was or as it should be, whatever happens.

    What was there before is left at `keep`, where that is given.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    with _told("write", path):
        try:
            _write_new(part, data)
            if keep is not None and path.is_file():
                os.replace(path, keep)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
        _sync_folder(path.parent)


def append_to(path: Path, content: bytes, size: int) -> None:
    """Add to a file of `size` bytes; what was added is on the disk when this returns. It must have
    no other name: what has is another file too."""
    with _told("write", path), _opened(path, os.O_WRONLY) as (file, found):
        if found.st_nlink > 1:
            raise InputError(f"{path} has another name (a hard link): put a copy of it there")
        if found.st_size != size:
            raise InputError(
                f"{path} was changed while it was being written: it should have {size} bytes, has "
                f"{found.st_size}. Begin anew in another folder"
            )
        os.lseek(file, size, os.SEEK_SET)
        _write_all(file, content)
        os.fsync(file)


def read_file(path: Path, limit: int, follow: bool = False) -> bytes:
    """The content of a plain file of at most `limit` bytes.

    Raises InputError for anything else: a FIFO, a device, a folder, and, unless `follow`, a link.
    """
    with _told("read", path), _opened(path, os.O_RDONLY, follow) as (file, found):
        if found.st_size > limit:
            raise InputError(
                f"{path} has {found.st_size} bytes, where at most {limit} were expected: it is not "
                "a file of this kind, or is damaged"
            )
        with os.fdopen(os.dup(file), "rb") as reader:
            try:
                return reader.read(found.st_size)
            except MemoryError:
                raise InputError(
                    f"{path} has {found.st_size:,} bytes, more than there is memory for: it is not "
                    "a file of this kind, or needs a larger machine"
                ) from None


def make_folders(path: Path) -> list[Path]:
    """Make a folder and those above it. Gives those that were not there, the outermost first."""
    made: list[Path] = []
    with _told("make the folder", path):
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
    """Make a folder that was not there: `path`, or with -2, -3 ... after its name. Of processes
    that do so at the same time each gets another."""
    make_folders(path.parent)
    with _told("make the folder", path):
        for number in range(1, 10_000):
            folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
            with suppress(FileExistsError):
                os.mkdir(folder)
                return folder
    raise InputError(f"there are too many folders named {path}-2, -3 ...: choose another name")


def remove_file(path: Path) -> None:
    """Remove a file where there is one; of a link the link."""
    with _told("remove", path), suppress(FileNotFoundError):
        os.unlink(path)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing; leave any other."""
    with suppress(OSError):
        os.rmdir(folder)


def parse_json(content: bytes | str, where: Path | str) -> dict[str, Any]:
    """A JSON object, as this package writes it: each name once, no NaN."""
    try:
        value = json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise InputError(f"{where} is no JSON of this package: it is nested too deeply") from None
    except ValueError as error:  # of JSON, of UTF-8, of numbers with too many digits
        raise InputError(f"{where} is no JSON, or damaged: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{where} must hold a JSON object, got {type(value).__name__}")
    return value


def gunzip(content: bytes, limit: int, where: Path | str) -> bytes:
    """What a gzip file holds, of at most `limit` bytes: no more memory is taken than that."""
    try:
        reader = zlib.decompressobj(wbits=31)
        found = reader.decompress(content, limit + 1)
    except zlib.error as error:
        raise InputError(f"{where} is no gzip file, or damaged: {error}") from None
    if len(found) > limit:
        raise InputError(
            f"{where} holds more than the {limit} bytes that were expected: it is damaged"
        )
    if not reader.eof or reader.unused_data:
        raise InputError(f"{where} is damaged: its gzip stream does not end where the file ends")
    return found


def gzip_bytes(content: bytes) -> bytes:
    """A gzip file's bytes, the same whenever they are made."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _write_new(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _PLAIN, 0o666)
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
    """Have the disk hold the names in a folder as they are now."""
    if os.name == "nt":
        return  # Windows opens no folders
    file = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # disks that cannot do that
            raise
    finally:
        os.close(file)


@contextmanager
def _opened(path: Path, mode: int, follow: bool = False) -> Iterator[tuple[int, os.stat_result]]:
    """A plain file, open. What it is is asked before, since to open a device may do something, and
    after, since another may lie there by then."""
    _check_plain(path, os.stat(path) if follow else os.lstat(path))
    file = os.open(path, mode | _PLAIN | (0 if follow else _NO_LINK))
    try:
        found = os.fstat(file)
        _check_plain(path, found)
        yield file, found
    finally:
        os.close(file)


def _check_plain(path: Path, found: os.stat_result) -> None:
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
    raise InputError(f"{path} is {kind}, not a plain file: put the file itself there")


@contextmanager
def _told(verb: str, path: Path) -> Iterator[None]:
    """Errors of the disk, as errors of the user's input."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"cannot {verb} {path}: it, or its folder, is not there") from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error}: see to the disk")
        raise FileError(f"cannot {verb} {path}: {advice}") from error
    except ValueError as error:  # such as a zero byte in the name
        raise FileError(f"cannot {verb} {path!r}: {error}") from error
