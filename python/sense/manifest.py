"""manifest.json: the files of a folder, with their checksums.

    {"format": 1, "files": {NAME: {"sha256": HEX, "bytes": N}, ...}}

While a file is being replaced, its entry also has "next": {"sha256", "bytes"}: the file is either
the old one or the new one. A new file has "next" alone; a file that is being removed has
"next": null. "grows": true marks a file that is being appended to: only its first N bytes count.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import InputError, in_shell
from .files import parse_json, read_file, write_atomically

MANIFEST = "manifest.json"
LIMIT = 1 << 20
FORMAT = 1
SEAL = "python -m sense.seal {folder}, or seal_run() in R"


@dataclass(frozen=True)
class Checksum:
    """SHA-256 and size of a file's content."""

    sha256: str
    size: int

    @staticmethod
    def of(content: bytes) -> "Checksum":
        return Checksum(hashlib.sha256(content).hexdigest(), len(content))

    def plain(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "bytes": self.size}


@dataclass(frozen=True)
class Entry:
    """The checksum of a file, and the one it will have next, which differs while the file is being
    replaced. None means that there is no file."""

    current: Checksum | None
    next: Checksum | None
    grows: bool = False

    @property
    def settled(self) -> bool:
        return self.current == self.next

    def matching(self, content: bytes) -> Checksum | None:
        """Return the checksum of the entry that the content has; None if it has neither."""
        for expected in (self.next, self.current):
            if expected is not None:
                counted = content[: expected.size] if self.grows else content
                if Checksum.of(counted) == expected:
                    return expected
        return None

    def plain(self) -> dict[str, Any]:
        content = {} if self.current is None else self.current.plain()
        if not self.settled:
            content["next"] = None if self.next is None else self.next.plain()
        return content | ({"grows": True} if self.grows else {})


@dataclass
class Manifest:
    """The entries of a folder's files, by name."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def text(self) -> str:
        files = {name: entry.plain() for name, entry in sorted(self.entries.items())}
        return json.dumps({"format": FORMAT, "files": files}, indent=2) + "\n"

    def save(self, folder: Path) -> None:
        write_atomically(folder / MANIFEST, self.text())

    def plan(self, name: str, checksum: Checksum | None) -> None:
        """Note that a file is about to be replaced or, with None, removed."""
        before = self.entries.get(name, Entry(None, None))
        self.entries[name] = replace(before, next=checksum)

    def record(self, name: str, checksum: Checksum | None, grows: bool = False) -> None:
        """Note what a file is now; None: it was removed."""
        if checksum is None:
            self.entries.pop(name, None)
        else:
            self.entries[name] = Entry(checksum, checksum, grows)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, None if it has none. Raises InputError if it is damaged."""
    path = folder / MANIFEST
    if not path.is_symlink() and not path.exists():
        return None
    try:
        return _parse(parse_json(read_file(path, LIMIT), path), path)
    except InputError as error:
        raise InputError(
            f"{error}. Copy the folder again from an intact source; or, if you know that its files "
            f"are correct, remove {MANIFEST}, then run: {SEAL.format(folder=in_shell(folder))}"
        ) from None


def _parse(content: dict[str, Any], path: Path) -> Manifest:
    if content.keys() != {"format", "files"} or not isinstance(content["files"], dict):
        raise InputError(f"{path} is damaged: it must hold 'format' and 'files', and nothing else")
    if type(content["format"]) is not int or content["format"] != FORMAT:
        raise InputError(
            f"{path} has the format {content['format']!r}; this version of sense can only read "
            f"format {FORMAT}"
        )
    return Manifest({name: _parse_entry(path, name, e) for name, e in content["files"].items()})


def _parse_entry(path: Path, name: str, content: Any) -> Entry:
    damaged = InputError(f"{path} is damaged: the entry of {name!r} is not valid")
    if not isinstance(content, dict) or not content.keys() <= {"sha256", "bytes", "next", "grows"}:
        raise damaged
    current = {key: content[key] for key in ("sha256", "bytes") if key in content}
    following = content.get("next", current)
    for checksum in (current, following):
        if checksum and not _is_checksum(checksum):
            raise damaged
    if not (current or following) or content.get("grows", True) is not True:
        raise damaged
    return Entry(_checksum(current), _checksum(following), content.get("grows", False))


def _checksum(content: dict[str, Any] | None) -> Checksum | None:
    return Checksum(content["sha256"], content["bytes"]) if content else None


def _is_checksum(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.keys() == {"sha256", "bytes"}
        and isinstance(content["sha256"], str)
        and re.fullmatch("[0-9a-f]{64}", content["sha256"]) is not None
        and type(content["bytes"]) is int
        and content["bytes"] >= 0
    )
