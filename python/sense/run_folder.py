"""The folder of a run or of an evaluation: its files, their checksums and its lock.

Every write is announced in the manifest first. If the process is killed, each file has either its
old or its new content. Every read is checked against the manifest. Checkpoints hold checksums of
their own.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import InputError, MissingFileError, TakenError, in_shell
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
from .manifest import MANIFEST, SEAL, Checksum, Entry, Manifest, read_manifest

_MIB = 1 << 20
# The files of such a folder and their largest size in bytes.
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
    "convergence_accuracy.csv.gz": 16 * _MIB,
    "examples.json": 512 * _MIB,
    "examples.json.gz": 64 * _MIB,
    "comparison.json": 64 * _MIB,
    "MODEL_CARD.md": 16 * _MIB,
}
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-previous.pt"
CHECKPOINT_LIMIT = 1 << 36


class RunFolder:
    """Reading is always possible. To write, take the lock in a `with` block:

    with RunFolder(path) as folder:
        folder.lock()
        folder.write({"metrics.jsonl": text})

    If the block ends with an error, folders that `lock` created are removed if they are empty. If
    `remove_on_failure` is set, the files of the run are removed too.
    """

    def __init__(self, path: Path | str, numbered: bool = False) -> None:
        self.path = Path(path)
        self.numbered = numbered  # if the folder exists, create a new one with a number
        self.remove_on_failure = False
        self._lock: FolderLock | None = None
        self._locked_manifest = Manifest()  # valid while the folder is locked
        self._created: list[Path] = []
        self._hashes: dict[str, Any] = {}  # of files that are appended to

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close(failed=isinstance(error, Exception))

    # The lock

    def lock(self, create: bool = False) -> None:
        """Lock the folder for this process, and repair what a killed process left. Raises
        FileExistsError if another process has locked it."""
        while self._lock is None:
            if create and self.numbered:
                self._created += make_folders(self.path.parent)
                self.path, self.numbered = make_new_folder(self.path), False
                self._created.append(self.path)
            elif create:
                self._created += make_folders(self.path)
            elif not self.path.is_dir():
                raise MissingFileError(f"no folder {self.path}: pass the folder of a run")
            try:
                self._lock = FolderLock(self.path)
            except FileNotFoundError:
                continue  # the process that created the folder failed and has just removed it
        self._locked_manifest = read_manifest(self.path) or Manifest()
        self._recover()

    def close(self, failed: bool = False) -> None:
        """Release the lock; after a failure remove what was created."""
        if self._lock is None:
            return
        if failed and self.remove_on_failure:
            for name in (*LIMITS, CHECKPOINT, PREVIOUS, MANIFEST):
                if not (self.path / name).is_dir():
                    remove_file(self.path / name)
        self._lock.release()
        self._lock = None
        if failed:
            for folder in reversed(self._created):
                remove_if_empty(folder)

    def _recover(self) -> None:
        before = self._locked_manifest.text()
        for name, entry in list(self._locked_manifest.entries.items()):
            if not entry.settled or entry.grows:
                with suppress(InputError):  # something else has the name: reading it will fail
                    self._recover_file(name, entry)
        if self._locked_manifest.text() != before:
            self._locked_manifest.save(self.path)
        for path in self.path.iterdir():
            if re.fullmatch(TEMPORARY_NAME, path.name):
                remove_file(path)

    def _recover_file(self, name: str, entry: Entry) -> None:
        """Record the content that a file has. What was appended without being recorded is cut off,
        and a removal that was begun is finished."""
        path = self.path / name
        if not entry.settled and entry.next is None:
            remove_file(path)
        if os.path.lexists(path):
            content = self._content(name)
            found = entry.matching(content)
            if found is not None:
                if entry.grows and len(content) > found.size:
                    write_atomically(path, content[: found.size])
                self._locked_manifest.record(name, found, entry.grows)
        elif None in (entry.current, entry.next):
            self._locked_manifest.record(name, None)

    def check_unused(self) -> None:
        """Raise FileExistsError if the folder holds a file of a run or of an evaluation."""
        for name in () if self.numbered else (*LIMITS, CHECKPOINT, PREVIOUS):
            if os.path.lexists(self.path / name):
                what = "a run" if name == "config.json" else name
                raise TakenError(
                    f"{self.path} holds {what} already: resume it with --resume "
                    f"{in_shell(self.path)}, or choose another --out"
                )

    # To read

    def has(self, name: str) -> bool:
        """Return whether the file exists. Raises InputError if it is not in the manifest, or if it
        is and the file is missing."""
        exists = os.path.lexists(self.path / name)
        manifest = self._manifest()
        entry = None if manifest is None else manifest.entries.get(name)
        if entry is None:
            if exists:
                raise self._unlisted(name, manifest)
            return False
        if not exists and entry.current and entry.next:
            raise MissingFileError(
                f"{self.path / name} is missing, which {MANIFEST} lists: put it back, or, if it "
                f"was removed on purpose: {self.seal_command()}"
            )
        return exists and entry.next is not None

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises InputError if it is not as it was written, and
        FileNotFoundError if it does not exist."""
        if not self.has(name):
            raise MissingFileError(f"no {name} in {self.path}")
        before = self._manifest()
        while True:
            content = self._content(name)
            entry = before.entries.get(name) if before else None
            if entry is None:
                raise self._unlisted(name, before)
            found = entry.matching(content)
            if found is not None:
                return content[: found.size]
            after = self._manifest()
            if after == before:  # else another process has replaced the file: read it again
                raise InputError(
                    f"{self.path / name} is damaged, or was changed: its checksum is not the one "
                    f"in {MANIFEST}. If it was changed on purpose: {self.seal_command()}; if not, "
                    "copy it again from an intact source"
                )
            before = after

    def text(self, name: str) -> str:
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path / name} is not text: {error}") from None

    def read_json(self, name: str) -> dict[str, Any]:
        return parse_json(self.read(name), self.path / name)

    def read_gzipped(self, name: str) -> bytes:
        """Return the unzipped content of NAME.gz, at most as long as NAME may be."""
        return gunzip(self.read(f"{name}.gz"), LIMITS[name], self.path / f"{name}.gz")

    def check(self) -> None:
        """Read all files. Raises InputError for the first that is not as it was written."""
        for name in LIMITS:
            if self.has(name):
                self.read(name)

    def seal_command(self) -> str:
        return SEAL.format(folder=in_shell(self.path))

    # To write, while the folder is locked

    def write(self, files: Mapping[str, bytes | str]) -> None:
        """Write whole files. If the process is killed, each has its old or its new content."""
        self._check_locked()
        contents = {
            name: content.encode() if isinstance(content, str) else content
            for name, content in files.items()
        }
        checksums = {name: Checksum.of(content) for name, content in contents.items()}
        for name, checksum in checksums.items():
            self._check_size(name, checksum.size)
            self._hashes.pop(name, None)
            self._locked_manifest.plan(name, checksum)
        self._locked_manifest.save(self.path)
        for name, content in contents.items():
            write_atomically(self.path / name, content)
            self._locked_manifest.record(name, checksums[name])
        self._locked_manifest.save(self.path)

    def append(self, name: str, content: bytes) -> None:
        """Append to an existing file. The content is on the disk and recorded when this returns.
        Call `finish` after the last."""
        self._check_locked()
        entry = self._locked_manifest.entries[name]
        assert entry.current is not None
        if not entry.grows:
            self._locked_manifest.record(name, entry.current, grows=True)
            self._locked_manifest.save(self.path)
        if name not in self._hashes:
            old = self.read(name)
            if os.lstat(self.path / name).st_nlink > 1:  # do not change a hard-linked copy
                write_atomically(self.path / name, old)
            self._hashes[name] = hashlib.sha256(old)
        size = entry.current.size + len(content)
        self._check_size(name, size)
        append_to(self.path / name, content, entry.current.size)
        self._hashes[name].update(content)
        checksum = Checksum(self._hashes[name].hexdigest(), size)
        self._locked_manifest.record(name, checksum, grows=True)
        self._locked_manifest.save(self.path)

    def finish(self, names: Iterable[str]) -> None:
        """Record that nothing more is appended to these files."""
        entries = self._locked_manifest.entries
        growing = [name for name in names if name in entries and entries[name].grows]
        for name in growing:
            self._locked_manifest.record(name, entries[name].current)
        if growing:
            self._locked_manifest.save(self.path)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, whether they are in the manifest or not."""
        self._check_locked()
        names = list(names)
        for name in names:
            if name in self._locked_manifest.entries:
                self._locked_manifest.plan(name, None)
        self._locked_manifest.save(self.path)
        for name in names:
            remove_file(self.path / name)
            self._locked_manifest.record(name, None)
        self._locked_manifest.save(self.path)

    # Helpers

    def _manifest(self) -> Manifest | None:
        return self._locked_manifest if self._lock is not None else read_manifest(self.path)

    def _content(self, name: str) -> bytes:
        return read_file(self.path / name, LIMITS[name])

    def _check_locked(self) -> None:
        assert self._lock is not None, "a folder is locked before it is written to"

    def _check_size(self, name: str, size: int) -> None:
        if size > LIMITS[name]:
            raise InputError(
                f"{self.path / name} would have {size} bytes, more than the {LIMITS[name]} that "
                "such a file may have"
            )

    def _unlisted(self, name: str, manifest: Manifest | None) -> InputError:
        why = f"there is no {MANIFEST}" if manifest is None else f"{MANIFEST} does not list it"
        return InputError(
            f"{self.path / name} cannot be checked: {why}. If you trust the folder and want to "
            f"accept the file as it is: {self.seal_command()}"
        )
