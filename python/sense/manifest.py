"""manifest.json: which files a folder holds, with their sums.

    {"format": 1, "files": {NAME: {"sha256": HEX, "bytes": N}, ...}}

While a file is being replaced its entry has "next": {"sha256", "bytes"} too: it is as it was, or as
it will be. One that was not there before has "next" alone; "next": null is of one that is being
removed. An entry with "grows": true is of a file that is being added to: its first N bytes count.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import parse_json, read_file, write_atomically

MANIFEST = "manifest.json"
LIMIT = 1 << 20
FORMAT = 1
SEAL = "python -m sense.seal {folder}, or seal_run() in R"


@dataclass(frozen=True)
class Checksum:
    """What a file holds."""

    sha256: str
    size: int

    @staticmethod
    def of(content: bytes) -> "Checksum":
        return Checksum(hashlib.sha256(content).hexdigest(), len(content))

    @staticmethod
    def begin(content: bytes) -> "hashlib._Hash":
        """A sum that can go on."""
        return hashlib.sha256(content)

    def plain(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "bytes": self.size}


@dataclass(frozen=True)
class Entry:
    """A file: what it holds, and what it will hold next, which differs while it is replaced. None
    is no file."""

    now: Checksum | None
    next: Checksum | None
    grows: bool = False

    @staticmethod
    def of(found: Checksum, grows: bool = False) -> "Entry":
        return Entry(found, found, grows)

    @property
    def settled(self) -> bool:
        return self.now == self.next

    def holds(self, content: bytes) -> bool:
        """Whether this is the file's content, so far as it counts."""
        return any(
            expected is not None and Checksum.of(self.counted(content, expected)) == expected
            for expected in (self.now, self.next)
        )

    def counted(self, content: bytes, expected: Checksum) -> bytes:
        return content[: expected.size] if self.grows else content

    def plain(self) -> dict[str, Any]:
        found = {} if self.now is None else self.now.plain()
        if not self.settled:
            found["next"] = None if self.next is None else self.next.plain()
        return found | ({"grows": True} if self.grows else {})


@dataclass
class Manifest:
    """The entries of a folder's files, by name."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def text(self) -> str:
        files = {name: entry.plain() for name, entry in sorted(self.entries.items())}
        return json.dumps({"format": FORMAT, "files": files}, indent=2) + "\n"

    def save(self, folder: Path) -> None:
        write_atomically(folder / MANIFEST, self.text())

    def plan(self, name: str, expected: Checksum | None) -> None:
        before = self.entries.get(name, Entry(None, None))
        self.entries[name] = replace(before, next=expected)

    def holds(self, name: str, found: Checksum | None, grows: bool = False) -> None:
        if found is None:
            self.entries.pop(name, None)
        else:
            self.entries[name] = Entry.of(found, grows)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where it has none."""
    path = folder / MANIFEST
    if not path.is_symlink() and not path.exists():
        return None
    try:
        return _parse(parse_json(read_file(path, LIMIT), path), path)
    except InputError as error:
        raise InputError(
            f"{error}. Take the folder from where it is whole; or, if you know that its files are "
            f"as they should be, remove {MANIFEST}, then: {SEAL.format(folder=folder)}"
        ) from None


def _parse(content: dict[str, Any], path: Path) -> Manifest:
    if content.keys() != {"format", "files"} or not isinstance(content["files"], dict):
        raise InputError(f"{path} is damaged: it must hold 'format' and 'files', and nothing else")
    if type(content["format"]) is not int or content["format"] != FORMAT:
        raise InputError(
            f"{path} has the format {content['format']!r}, of which this version of sense knows "
            f"{FORMAT} alone"
        )
    return Manifest({name: _entry(path, name, told) for name, told in content["files"].items()})


def _entry(path: Path, name: str, told: Any) -> Entry:
    damaged = InputError(f"{path} is damaged: what it says of {name!r} is no sum of a file")
    if not isinstance(told, dict) or not told.keys() <= {"sha256", "bytes", "next", "grows"}:
        raise damaged
    now = {key: told[key] for key in ("sha256", "bytes") if key in told}
    later = told.get("next", now)
    for found in (now, later):
        if found and not _is_sum(found):
            raise damaged
    if not (now or later) or told.get("grows", True) is not True:
        raise damaged
    return Entry(_sum(now), _sum(later), told.get("grows", False))


def _sum(found: dict[str, Any] | None) -> Checksum | None:
    return Checksum(found["sha256"], found["bytes"]) if found else None


def _is_sum(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == {"sha256", "bytes"}
        and isinstance(found["sha256"], str)
        and re.fullmatch("[0-9a-f]{64}", found["sha256"]) is not None
        and type(found["bytes"]) is int
        and found["bytes"] >= 0
    )
