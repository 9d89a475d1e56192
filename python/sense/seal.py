"""Say of a run folder that its files are as they should be: `python -m sense.seal FOLDER`.

Each file of a run or evaluation has its sum in manifest.json, and is refused where it is another.
Who changed one on purpose, or has a folder from before there were manifests, records the sums as
they are now. What is in a folder of somebody else's is not made trustworthy by that.
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

OLD_SUM = "model.safetensors.sha256"  # what there was before manifests


@dataclass(frozen=True)
class SealArguments:
    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FOLDER ...")]


def seal_folder(folder: Path) -> list[str]:
    """Record the sums of a folder's files as they are now; say in a line each what that changed."""
    with RunFolder(folder) as run:
        run.lock()
        path = run.path
        contents = {
            name: read_file(path / name, limit)
            for name, limit in LIMITS.items()
            if os.path.lexists(path / name)
        }
        if not contents:
            raise MissingFileError(f"{path} holds no file of a run or of an evaluation")
        _check_old_sum(path, contents.get("model.safetensors"))
        before = read_manifest(path) or Manifest()
        now = Manifest()
        for name, content in contents.items():
            now.holds(name, Checksum.of(content))
        now.save(path)
        remove_file(path / OLD_SUM)
    return _changes(folder, before, now)


def _check_old_sum(folder: Path, weights: bytes | None) -> None:
    """Raise ValueError where weights from before there were manifests are damaged."""
    if weights is None or not os.path.lexists(folder / OLD_SUM):
        return
    expected = read_file(folder / OLD_SUM, 1000).decode(errors="replace").partition(" ")[0]
    if Checksum.of(weights).sha256 != expected:
        raise InputError(
            f"{folder / 'model.safetensors'} is damaged: it has another sum than {OLD_SUM} says. "
            f"If it was changed on purpose, remove {OLD_SUM}"
        )


def _changes(folder: Path, before: Manifest, now: Manifest) -> list[str]:
    lines = []
    for name in sorted(before.entries.keys() | now.entries.keys()):
        old, new = before.entries.get(name), now.entries.get(name)
        if new is None:
            lines.append(f"{folder / name}: gone")
        elif old is None:
            lines.append(f"{folder / name}: new")
        elif old.now != new.now:
            lines.append(f"{folder / name}: changed")
    return lines or [f"{folder / MANIFEST}: all as it was"]


@command("sense.seal")
def seal_main(argv: list[str]) -> None:
    """`python -m sense.seal`."""
    arguments = tyro.cli(
        SealArguments,
        args=argv,
        prog="python -m sense.seal",
        description=(
            "Record the sums of a run folder's files as they are now: after a change on "
            "purpose, or for a folder from before there were manifests."
        ),
    )
    if not arguments.folders:
        raise InputError("name the folder of a run or of an evaluation")
    for folder in arguments.folders:
        print("\n".join(seal_folder(folder)))


if __name__ == "__main__":
    seal_main()
