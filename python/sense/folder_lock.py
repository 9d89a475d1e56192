"""A folder belongs to one process at a time.

The lock is the system's, on a file in the folder, and ends with the process that has it. Where
Python has no `fcntl` (Windows) folders are not locked: there, start one process for a folder.
"""

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from .errors import FileError, InputError, TakenError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
_REFUSED = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
_NOT_KNOWN = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)


class FolderLock:
    """The lock of a folder that is there. Taken at once or, with TakenError, not at all.

    Raises FileNotFoundError where the folder went away.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._file: int | None = None
        if fcntl is not None:
            while self._file is None:
                self._file = self._take(folder)

    def _take(self, folder: Path) -> int | None:
        """The open file of the lock; None where another process has just removed it."""
        file = _open(self.path)
        try:
            kept = self._lock(folder, file)
        except BaseException:
            os.close(file)
            raise
        if not kept:
            os.close(file)
        return file if kept else None

    def _lock(self, folder: Path, file: int) -> bool:
        """Whether the file is now locked by this process, and still the one of that name."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            time.sleep(0.05)  # the holder may have it since a moment ago, and not have said so yet
            holder = os.read(file, 20).decode(errors="replace").strip()
            if error.errno in _NOT_KNOWN:
                raise FileError(
                    f"{folder} lies on a disk that knows no locks ({error.strerror}), without "
                    "which two processes could write into it at once: choose a folder elsewhere"
                ) from None
            if error.errno not in _REFUSED:
                raise
            raise TakenError(
                f"{folder} is in use by process {holder or 'unknown'}, which is writing into it: "
                "let that one end, or choose another folder"
            ) from None
        try:
            mine, there = os.fstat(file), os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (mine.st_ino, mine.st_dev) != (there.st_ino, there.st_dev):
            return False
        with suppress(OSError):  # it is only said to others; the disk may be full
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        return True

    def release(self) -> None:
        if self._file is None:
            return
        try:
            with suppress(OSError):
                os.unlink(self.path)  # while it is held: who opened it before notices
        finally:
            os.close(self._file)
            self._file = None


def _open(path: Path) -> int:
    """The file of the lock, made where it is not there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise InputError(f"{path} must be a plain file: remove it")
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(
            f"cannot lock {path.parent}: {error.strerror}. Choose a folder that can be written"
        ) from error
