"""A process that ends at any change that it makes to the disk."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from sense import files, runs

MEMORY = Path("/dev/shm")


class Killed(BaseException):
    """The process ends: nothing that it would still do happens."""


class Kill:
    """Allow this number of changes to the disk; the next one kills the process.
    A write is left half done."""

    CHANGES = ("replace", "write", "unlink", "rmdir", "ftruncate", "mkdir")

    def __init__(self, patch, after):
        self.left = after
        for name in self.CHANGES:
            patch.setattr(files.os, name, self.dying(name, getattr(os, name)))

    def dying(self, name, real):
        def call(*arguments, **options):
            self.left -= 1
            if self.left == -1 and name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            if self.left < 0:
                raise Killed
            return real(*arguments, **options)

        return call


def killed_at_each_change(monkeypatch, tmp_path, before, act):
    """Copies of the folder `before`, after `act` was killed at its first, second ... change."""
    # In memory where that can be: there a file is renamed in no time.
    place = MEMORY / f"{tmp_path.name}-{os.getpid()}" if os.access(MEMORY, os.W_OK) else tmp_path
    try:
        yield from _killed(monkeypatch, place, before, act)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _killed(monkeypatch, place, before, act):
    for after in range(1000):
        folder = place / f"killed-{after}"
        if before:
            shutil.copytree(before, folder)
        with monkeypatch.context() as patch:
            # What takes longer than all the rest; a process that ends takes no write with it.
            patch.setattr(runs, "_commit", lambda: None)
            patch.setattr(files.os, "fsync", lambda file: None)
            kill = Kill(patch, after)
            with suppress(Killed):
                act(folder)
            if kill.left >= 0:
                assert after > 3, "nothing was written"
                return
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    raise AssertionError("it never ended")
