"""A process that ends at any change that it makes to the disk."""

import os
import shutil
from contextlib import suppress

from sense import files, runs


class Killed(BaseException):
    """The process ends: nothing that it would still do happens."""


class Kill:
    """Let so many changes to the disk pass; at the next one, and all after it, the process is gone.
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
    for after in range(1000):
        folder = tmp_path / f"killed-{after}"
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
    raise AssertionError("it never ended")
