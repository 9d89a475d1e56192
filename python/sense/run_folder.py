"""The folder of a run, or of an evaluation: its files with their sums, and its lock.

All that is written goes through its manifest, so that at any moment, also where a process is
killed, each file is known to be as it was or as it should be. All that is read is checked by it.
The checkpoints carry sums of their own.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import InputError, MissingFileError, TakenError
from .files import (
    TEMPORARY_NAME,
    append_to,
    gunzip,
    make_folders,
    make_new_folder,
    parse_json,
    read_file,
    remove_file,
    remove_if_empty,
    write_atomically,
)
from .folder_lock import FolderLock
from .manifest import MANIFEST, SEAL, Checksum, Manifest, read_manifest

_MIB = 1 << 20
# What may lie in such a folder, and how large it may be.
LIMITS = {
    "config.json": _MIB,
    "metrics.jsonl": 64 * _MIB,
    "model.safetensors": 1 << 34,
    "evaluation.json": 16 * _MIB,
    "outcomes.csv": 512 * _MIB,
    "outcomes.csv.gz": 64 * _MIB,
    "curve_outcomes.csv": 512 * _MIB,
    "curve.csv": _MIB,
    "convergence.csv": 512 * _MIB,
    "convergence_accuracy.csv": 16 * _MIB,
    "examples.json": 512 * _MIB,
    "comparison.json": 64 * _MIB,
}
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-previous.pt"
CHECKPOINT_LIMIT = 1 << 36


class RunFolder:
    """Read it at any time. To write, take its lock in a `with` block:

    with RunFolder(path) as folder:
        folder.lock()
        folder.write({"metrics.jsonl": text})

    Where the block ends with an error, folders that `lock` made are removed again if they are
    empty, and so is what was written since `remove_on_failure` was set.
    """

    def __init__(self, path: Path | str, numbered: bool = False) -> None:
        self.path = Path(path)
        self.numbered = numbered  # where the folder is there, a new one with a number is made
        self.remove_on_failure = False
        self._lock: FolderLock | None = None
        self._owned = Manifest()  # while it is locked
        self._made: list[Path] = []
        self._sums: dict[str, Any] = {}  # of growing files, to go on with

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close(failed=isinstance(error, Exception))

    # The lock

    def lock(self, create: bool = False) -> None:
        """Take the folder for this process, and put in order what a killed one left. Raises
        FileExistsError where another process has it."""
        while self._lock is None:
            if create and self.numbered:
                self._made += make_folders(self.path.parent)
                self.path, self.numbered = make_new_folder(self.path), False
                self._made.append(self.path)
            elif create:
                self._made += make_folders(self.path)
            elif not self.path.is_dir():
                raise MissingFileError(f"no folder {self.path}: pass the folder of a run")
            try:
                self._lock = FolderLock(self.path)
            except FileNotFoundError:
                continue  # its maker failed, and has just removed it
        self._owned = read_manifest(self.path) or Manifest()
        self._recover()

    def close(self, failed: bool = False) -> None:
        """Give the lock back; after a failure remove what was made in vain."""
        if self._lock is None:
            return
        if failed and self.remove_on_failure:
            for name in (*LIMITS, CHECKPOINT, PREVIOUS, MANIFEST):
                if not (self.path / name).is_dir():
                    remove_file(self.path / name)
        self._lock.release()
        self._lock = None
        if failed:
            for folder in reversed(self._made):
                remove_if_empty(folder)

    def _recover(self) -> None:
        before = self._owned.text()
        for name, entry in list(self._owned.entries.items()):
            if entry.settled and not entry.grows:
                continue
            try:
                if not entry.settled and entry.next is None:
                    remove_file(self.path / name)
                if os.path.lexists(self.path / name):
                    self._settle(name)
                elif None in (entry.now, entry.next):
                    self._owned.holds(name, None)
            except InputError:
                continue  # something else lies there: who reads it will be told
        if self._owned.text() != before:
            self._owned.save(self.path)
        for path in self.path.iterdir():
            if re.fullmatch(TEMPORARY_NAME, path.name):
                remove_file(path)

    def _settle(self, name: str) -> None:
        """The entry of a file as its content is; a tail that does not count yet is cut off."""
        entry, content = self._owned.entries[name], self._content(name)
        for expected in (entry.next, entry.now):
            if expected and Checksum.of(entry.counted(content, expected)) == expected:
                if entry.grows and len(content) > expected.size:
                    write_atomically(self.path / name, content[: expected.size])
                self._owned.holds(name, expected, entry.grows)
                return

    def check_unused(self) -> None:
        """Raise FileExistsError where the folder holds something of a run, or of an evaluation."""
        for name in () if self.numbered else (*LIMITS, CHECKPOINT, PREVIOUS):
            if os.path.lexists(self.path / name):
                what = "a run" if name == "config.json" else name
                raise TakenError(
                    f"{self.path} holds {what} already: go on with it by --resume {self.path}, or "
                    "choose another --out"
                )

    # To read

    def has(self, name: str) -> bool:
        """Whether there is such a file. Raises InputError for one that is not in the manifest, or
        is there no longer."""
        there = os.path.lexists(self.path / name)
        manifest = self._manifest()
        entry = None if manifest is None else manifest.entries.get(name)
        if entry is None:
            if there:
                raise self._unlisted(name, manifest)
            return False
        if not there and entry.now and entry.next:
            raise MissingFileError(
                f"{self.path / name} is missing, which {MANIFEST} lists: put it back, or, if it "
                f"was removed on purpose: {self.seal_command()}"
            )
        return there and entry.next is not None

    def read(self, name: str) -> bytes:
        """The content of a file, checked by its sum. Raises InputError where it is not as it was
        written, and FileNotFoundError where there is none."""
        if not self.has(name):
            raise MissingFileError(f"no {name} in {self.path}")
        before = self._manifest()
        while True:
            content = self._content(name)
            entry = before.entries.get(name) if before else None
            if before is None or entry is None:
                raise self._unlisted(name, before)
            for expected in (entry.now, entry.next):
                if (
                    expected
                    and Checksum.of(counted := entry.counted(content, expected)) == expected
                ):
                    return counted
            now = self._manifest()  # another process may have replaced it meanwhile
            if now == before:
                raise InputError(
                    f"{self.path / name} is damaged, or was changed: it is not what {MANIFEST} "
                    f"says. If it was changed on purpose: {self.seal_command()}; else take it from "
                    "where it is whole"
                )
            before = now

    def text(self, name: str) -> str:
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path / name} is no text: {error}") from None

    def read_json(self, name: str) -> dict[str, Any]:
        return parse_json(self.read(name), self.path / name)

    def read_gzipped(self, name: str) -> bytes:
        """What the file NAME.gz holds, at most as much as NAME may."""
        return gunzip(self.read(f"{name}.gz"), LIMITS[name], self.path / f"{name}.gz")

    def check(self) -> None:
        """Read all files of the manifest. Raises InputError for the first that is not as it was
        written."""
        for name in LIMITS:
            if self.has(name):
                self.read(name)

    def seal_command(self) -> str:
        return SEAL.format(folder=self.path)

    # To write, while it is locked

    def write(self, files: Mapping[str, bytes | str]) -> None:
        """Write files whole. A process that is killed leaves each as it was or as it should be."""
        assert self._lock is not None, "a folder is locked before it is written to"
        contents = {
            name: content.encode() if isinstance(content, str) else content
            for name, content in files.items()
        }
        sums = {name: Checksum.of(content) for name, content in contents.items()}
        for name, found in sums.items():
            self._check_size(name, found.size)
            self._sums.pop(name, None)
            self._owned.plan(name, found)
        self._owned.save(self.path)
        for name, content in contents.items():
            write_atomically(self.path / name, content)
            self._owned.holds(name, sums[name])
        self._owned.save(self.path)

    def append(self, name: str, content: bytes) -> None:
        """Add to a file that is there; what was added is on the disk, and counts, when this
        returns. `finish` says that no more will come."""
        assert self._lock is not None, "a folder is locked before it is written to"
        entry = self._owned.entries[name]
        assert entry.now is not None
        if not entry.grows:
            self._owned.holds(name, entry.now, grows=True)
            self._owned.save(self.path)
        if name not in self._sums:
            content_now = self.read(name)
            if os.lstat(self.path / name).st_nlink > 1:  # such as of a copy made of links
                write_atomically(self.path / name, content_now)
            self._sums[name] = Checksum.begin(content_now)
        self._check_size(name, entry.now.size + len(content))
        append_to(self.path / name, content, entry.now.size)
        self._sums[name].update(content)
        found = Checksum(self._sums[name].hexdigest(), entry.now.size + len(content))
        self._owned.holds(name, found, grows=True)
        self._owned.save(self.path)

    def finish(self, names: Iterable[str]) -> None:
        """No more is added to these files."""
        growing = [
            name
            for name in names
            if name in self._owned.entries and self._owned.entries[name].grows
        ]
        for name in growing:
            self._owned.holds(name, self._owned.entries[name].now)
        if growing:
            self._owned.save(self.path)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, in the manifest or not."""
        assert self._lock is not None, "a folder is locked before it is written to"
        names = list(names)
        for name in names:
            if name in self._owned.entries:
                self._owned.plan(name, None)
        self._owned.save(self.path)
        for name in names:
            remove_file(self.path / name)
            self._owned.holds(name, None)
        self._owned.save(self.path)

    # Parts of these

    def _manifest(self) -> Manifest | None:
        return self._owned if self._lock is not None else read_manifest(self.path)

    def _content(self, name: str) -> bytes:
        return read_file(self.path / name, LIMITS[name])

    def _check_size(self, name: str, size: int) -> None:
        if size > LIMITS[name]:
            raise InputError(
                f"{self.path / name} would have {size} bytes, more than the {LIMITS[name]} that "
                "such a file may have"
            )

    def _unlisted(self, name: str, manifest: Manifest | None) -> InputError:
        why = f"there is no {MANIFEST}" if manifest is None else f"{MANIFEST} does not list it"
        return InputError(
            f"{self.path / name} cannot be checked: {why}. If you know where the folder is from "
            f"and want it as it is: {self.seal_command()}"
        )
