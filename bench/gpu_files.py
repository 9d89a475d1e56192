"""Files of tools/gpu: the folders of runs in small files, and CIFAR10 from its JPEG copy."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sense.data.cifar10 import FOLDER, RECORD, TEST, TRAIN

JPEG_COPY = "cifar10-jpeg.npz"
PIECE = 15_000_000  # bytes of a file to keep


def pack(folder: Path, out: Path) -> None:
    """Write the files of a folder into numbered pieces of a tar file. Older pieces are replaced."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in (".lock", "checkpoint-previous.pt"):
                tar.add(path, f"{folder.name}/{path.relative_to(folder)}")
    data = content.getbuffer()
    pieces = {
        out / f"{folder.name}.tar.{number:02}": data[begin : begin + PIECE]
        for number, begin in enumerate(range(0, len(data), PIECE))
    }
    for piece, part in pieces.items():
        piece.with_suffix(".part").write_bytes(part)
        piece.with_suffix(".part").replace(piece)
    for old in set(out.glob(f"{folder.name}.tar.*")) - set(pieces):
        old.unlink()


def extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write a file of the archive into the folder. Links, and paths that lead out of it, are left
    out. (From Python 3.11.4 on, the filter "data" of `extractall` refuses them.)"""
    path = (folder / member.name).resolve()
    content = tar.extractfile(member) if member.isfile() else None
    if content is not None and path.is_relative_to(folder.resolve()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())


def unpack(out: Path, work: Path) -> None:
    """Restore the runs that were packed, unless they are there."""
    for first in out.glob("*.tar.00"):
        name = first.name.removesuffix(".tar.00")
        if not (work / name).exists():
            pieces = sorted(out.glob(f"{name}.tar.*"))
            data = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
            with tarfile.open(fileobj=data) as tar:
                for member in tar:
                    extract(tar, member, work)


def cifar10_folder(folder: Path, work: Path) -> Path:
    """Return a folder with the binary version of CIFAR10, made from the JPEG copy if need be."""
    for found in (folder, folder / FOLDER):
        if (found / TEST[0]).exists():
            return found
    packed, made = folder / JPEG_COPY, work / FOLDER
    if not packed.exists():
        raise FileNotFoundError(f"no {TEST[0]} and no {JPEG_COPY} in {folder}")
    if not (made / TEST[0]).exists():
        made.mkdir(parents=True, exist_ok=True)
        with np.load(packed) as arrays:
            train, test = (records(arrays, part) for part in ("train", "test"))
        for name, rows in zip(TRAIN, np.split(train, len(TRAIN)), strict=True):
            (made / name).write_bytes(rows.tobytes())
        (made / TEST[0]).write_bytes(test.tobytes())
    return made


def records(arrays: Any, part: str) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """The images of a part as rows of the binary version: the label, then the pixels."""
    from PIL import Image  # only for the JPEG copy

    jpeg, offsets = arrays[f"{part}_jpeg"], arrays[f"{part}_offsets"]
    rows = np.empty((len(offsets) - 1, RECORD), np.uint8)
    rows[:, 0] = arrays[f"{part}_labels"]

    def decode(i: int) -> None:
        picture = Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))
        rows[i, 1:] = np.asarray(picture).transpose(2, 0, 1).reshape(-1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(rows)), chunksize=500))
    return rows
