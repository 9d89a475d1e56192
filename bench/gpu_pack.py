"""Collect what a GPU machine without network lacks: `tools/gpu-pack DIR [--cifar10 FOLDER]`.

The packages of this environment that sense needs beside the usual ones of such a machine (torch,
numpy, scipy, safetensors, tqdm, pytest; Pillow for the JPEG copy of CIFAR10) are copied as plain
Python code: they run with any Python. On the other machine:

    PYTHONPATH=DIR tools/gpu --cifar10 DIR --out FOLDER

With --cifar10 the JPEG copy of CIFAR10 is copied too. DIR must not be larger than 64 MiB.
"""

import argparse
import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sense.runs import provenance

from .gpu import COMMIT
from .gpu_files import JPEG_COPY

DISTRIBUTIONS = (
    "tyro",
    "docstring-parser",
    "typeguard",
    "typing-extensions",
    "certifi",
    "platformdirs",
    "packaging",
    "pyautoattack",
)
CODE = {".py", ".pyi", ".typed"}
LEFT_OUT = {"examples", "tests"}  # folders
LIMIT = 64 * 2**20  # bytes


def files_of(name: str) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a distribution to copy, and their places; its metadata too."""
    for file in importlib.metadata.files(name) or []:
        place, source = Path(str(file)), Path(str(file.locate()))
        metadata = place.parts[0].endswith(".dist-info") and place.name == "METADATA"
        code = place.suffix in CODE and not LEFT_OUT & set(place.parts[:-1])
        outside = ".." in place.parts or place.is_absolute()
        if source.is_file() and not outside and (metadata or code):
            yield source, place


def pack(folder: Path, cifar10: Path | None) -> dict[str, int]:
    """Copy everything; return the bytes of each part. Raises ValueError if it is too much, and
    PackageNotFoundError for a distribution that is not installed here."""
    sizes: dict[str, int] = {}
    for name in DISTRIBUTIONS:
        files = list(files_of(name))
        for source, place in files:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / place)
        sizes[name] = sum(source.stat().st_size for source, _ in files)
    if cifar10 is not None:
        images = cifar10 / JPEG_COPY
        shutil.copyfile(images, folder / images.name)
        sizes[images.name] = images.stat().st_size
    commit = provenance()["commit"]
    if commit:
        (folder / COMMIT).write_text(f"{commit}\n")
    if sum(sizes.values()) > LIMIT:
        raise ValueError(f"{folder} has {sum(sizes.values())} bytes, more than {LIMIT}")
    return sizes


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="tools/gpu-pack", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--cifar10", type=Path, help=f"folder with {JPEG_COPY}")
    arguments = parser.parse_args(argv)
    try:
        arguments.folder.mkdir(parents=True)
        sizes = pack(arguments.folder, arguments.cifar10)
    except (OSError, ValueError, importlib.metadata.PackageNotFoundError) as error:
        sys.exit(f"tools/gpu-pack: {error}")
    for name, size in sizes.items():
        print(f"{name}: {size / 2**20:.2f} MiB")
    print(f"together: {sum(sizes.values()) / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
