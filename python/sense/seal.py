"""Record the checksums of a run folder's files as they are: `python -m sense.seal FOLDER`.

Each file of a run or evaluation has its checksum in manifest.json, and a file with another checksum
is not read. Seal a folder after you changed a file on purpose, or if the folder is older than
manifests. Sealing a folder of somebody else does not make it trustworthy.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .cli import command
from .errors import InputError, MissingFileError
from .files import read_file, remove_file
from .manifest import MANIFEST, Checksum, Manifest, read_manifest
from .run_folder import LIMITS, RunFolder

OLD_CHECKSUM = "model.safetensors.sha256"  # written before there were manifests


@dataclass(frozen=True)
class SealArguments:
    folders: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(
            metavar="FOLDER ...",
            help="folders of runs or of evaluations",
            help_behavior_hint="(required)",
        ),
    ]


def seal_folder(folder: Path) -> list[str]:
    """Record the checksums of a folder's files. Returns one line for each change."""
    with RunFolder(folder) as run:
        run.lock()
        path = run.path
        contents = {
            name: read_file(path / name, limit)
            for name, limit in LIMITS.items()
            if os.path.lexists(path / name)
        }
        if not contents:
            raise MissingFileError(f"{path} does not hold a file of a run or of an evaluation")
        _check_old_checksum(path, contents.get("model.safetensors"))
        before = read_manifest(path) or Manifest()
        now = Manifest()
        for name, content in contents.items():
            now.record(name, Checksum.of(content))
        now.save(path)
        remove_file(path / OLD_CHECKSUM)
    return _changes(folder, before, now)


def _check_old_checksum(folder: Path, weights: bytes | None) -> None:
    """Raise InputError if weights that are older than manifests are damaged."""
    if weights is None or not os.path.lexists(folder / OLD_CHECKSUM):
        return
    expected = read_file(folder / OLD_CHECKSUM, 1000).decode(errors="replace").partition(" ")[0]
    if Checksum.of(weights).sha256 != expected:
        raise InputError(
            f"{folder / 'model.safetensors'} is damaged: its checksum is not the one in "
            f"{OLD_CHECKSUM}. If it was changed on purpose, remove {OLD_CHECKSUM}"
        )


def _changes(folder: Path, before: Manifest, now: Manifest) -> list[str]:
    lines = []
    for name in sorted(before.entries.keys() | now.entries.keys()):
        old, new = before.entries.get(name), now.entries.get(name)
        if new is None:
            lines.append(f"{folder / name}: removed")
        elif old is None:
            lines.append(f"{folder / name}: new")
        elif old.current != new.current:
            lines.append(f"{folder / name}: changed")
    return lines or [f"{folder / MANIFEST}: unchanged"]


@command("sense.seal")
def seal_main(argv: list[str]) -> None:
    """`python -m sense.seal`."""
    arguments = tyro.cli(
        SealArguments,
        args=argv,
        prog="python -m sense.seal",
        description=(
            "Record the present checksums of the files in the folder of a run. Use it after you "
            "changed a file on purpose, or for a folder that was written before manifests were "
            "introduced."
        ),
    )
    if not arguments.folders:
        raise InputError("name the folder of a run or of an evaluation")
    for folder in arguments.folders:
        print("\n".join(seal_folder(folder)))


if __name__ == "__main__":
    seal_main()
