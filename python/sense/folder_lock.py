"""A lock of a folder, so that only one process at a time writes into it.

It is a lock of the operating system (flock) on a file in the folder, and ends with its process. On
Windows, where Python has no `fcntl`, folders are not locked: run one process per folder there.
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
_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)


class FolderLock:
    """The lock of an existing folder, or with another `name` of something in it.

    Raises TakenError at once if another process holds it, and FileNotFoundError if the folder was
    removed.
    """

    def __init__(self, folder: Path, name: str = LOCK) -> None:
        self.path = folder / name
        self._file: int | None = None
        if fcntl is not None:
            while self._file is None:
                self._file = self._take(folder)

    def _take(self, folder: Path) -> int | None:
        """Return the open lock file; None if another process has just removed it."""
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
        """Lock the file. Returns whether it still is the file of that name."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            time.sleep(0.05)  # the holder may not have written its number yet
            holder = os.read(file, 20).decode(errors="replace").strip()
            if error.errno in _UNSUPPORTED:
                raise FileError(
                    f"{folder} is on a disk that does not support locks ({error.strerror}), so "
                    "two processes could write into it at once: choose a folder elsewhere"
                ) from None
            if error.errno not in _HELD:
                raise
            raise TakenError(
                f"{folder} is in use by process {holder or 'unknown'}, which is writing into it: "
                "wait until it ends, or choose another folder"
            ) from None
        try:
            mine, there = os.fstat(file), os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (mine.st_ino, mine.st_dev) != (there.st_ino, there.st_dev):
            return False
        with suppress(OSError):  # only for messages; the disk may be full
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        return True

    def release(self) -> None:
        if self._file is None:
            return
        try:
            with suppress(OSError):
                os.unlink(self.path)  # while locked: a process that has opened it notices
        finally:
            os.close(self._file)
            self._file = None


def is_locked(folder: Path, name: str = LOCK) -> bool:
    """Return whether a process holds the lock. Only a lock file that exists is opened; one that a
    killed process left behind is no lock."""
    if fcntl is None or not os.path.lexists(folder / name):
        return False
    try:
        file = _open(folder / name)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that of two processes that check neither finds the other to be the holder.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(file)
    return False


def _open(path: Path) -> int:
    """Open the lock file; create it if it does not exist."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise InputError(f"{path} must be a regular file: remove it")
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(
            f"cannot lock {path.parent}: {error.strerror}. Choose a writable folder"
        ) from error
