"""CIFAR10 in its official binary version, which holds no pickle: downloaded once, or a folder."""

import hashlib
import io
import os
import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from platformdirs import user_cache_path
from torch import Tensor

from ..errors import InputError, MissingFileError
from ..files import read_file
from ..process_settings import retrieve
from .images import ImageData

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)
RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes, each row by row
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
ARCHIVE = "cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as the data set's page states
SOURCES = ("https://www.cs.toronto.edu/~kriz/",)
LARGEST_ARCHIVE = 1_000_000_000  # bytes; the official one has 170,052,171
LARGEST = 100_000_000  # bytes a member of the archive may have; the official ones have 30,730,000


def load_cifar10(data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """50,000 training and 10,000 test images of 3 x 32 x 32, from `data_dir` (the folder of the
    .bin files, or the one it lies in) or, downloaded once, from `cache_dir`."""
    if data_dir is not None:
        return from_files(read_folder(data_dir), str(data_dir))
    archive = download(cache_dir and cache_dir / "cifar10")
    return from_files(read_archive(archive), str(archive))


def load_cifar10_test_data(
    data_dir: Path | None = None, cache_dir: Path | None = None
) -> ImageData:
    """The 10,000 test images, for which a folder needs test_batch.bin alone."""
    if data_dir is None:
        return load_cifar10(None, cache_dir)
    files = read_folder(data_dir, needed=TEST)
    x, y = parse(files[TEST[0]], f"{TEST[0]} in {data_dir}")
    return ImageData.from_test_images("cifar10", x, y, CLASSES)


def from_files(files: dict[str, bytes], where: str) -> ImageData:
    """The data set in the content of the six files. Training files may be fewer."""
    train = [name for name in TRAIN if name in files]
    train_x, train_y = _join([parse(files[name], f"{name} in {where}") for name in train])
    test_x, test_y = parse(files[TEST[0]], f"{TEST[0]} in {where}")
    return ImageData(
        name="cifar10",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=CLASSES,
    )


def parse(content: bytes, what: str) -> tuple[Tensor, Tensor]:
    """The images (uint8, n x 3 x 32 x 32) and labels (int64) of one file.

    Raises ValueError, naming the file, where it is not whole records of 3,073 bytes or has a label
    past 9.
    """
    if not content or len(content) % RECORD:
        raise InputError(
            f"{what} should be records of {RECORD:,} bytes, has {len(content):,} bytes: "
            "download it anew"
        )
    records: NDArray[np.uint8] = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    if int(labels.max()) > 9:
        first = int((labels > 9).nonzero()[0])
        raise InputError(f"{what} has label {int(labels[first])} in record {first} (from 0)")
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), labels


def read_folder(folder: Path, needed: tuple[str, ...] = (TRAIN[0], *TEST)) -> dict[str, bytes]:
    """The content of the .bin files in the folder, or in a cifar-10-batches-bin within it. Those
    `needed` must be there."""
    inner = folder / FOLDER
    place = inner if inner.is_dir() else folder
    missing = [name for name in needed if not os.path.isfile(place / name)]
    if missing:
        raise MissingFileError(
            f"no {', '.join(missing)} in {place}. A folder of cifar10 holds data_batch_1.bin to "
            "data_batch_5.bin and test_batch.bin, the binary version"
        )
    present = [name for name in (*TRAIN, *TEST) if os.path.isfile(place / name)]
    return {name: read_file(place / name, LARGEST, follow=True) for name in present}


def read_archive(path: Path) -> dict[str, bytes]:
    """The content of the six files, read from the archive in memory: nothing is extracted, so no
    path in it can lead anywhere."""
    content = io.BytesIO(read_file(path, LARGEST_ARCHIVE, follow=True))
    try:
        with tarfile.open(fileobj=content, mode="r:gz") as archive:
            return {name: _member(archive, name, path) for name in (*TRAIN, *TEST)}
    except InputError:
        raise
    except (EOFError, LookupError, OSError, ValueError, tarfile.TarError, zlib.error) as error:
        raise InputError(
            f"{path} is damaged, or not the archive of CIFAR10 ({error}): remove it, and it is "
            "downloaded anew"
        ) from None


def _member(archive: tarfile.TarFile, name: str, path: Path) -> bytes:
    member = archive.getmember(f"{FOLDER}/{name}")
    if not member.isreg() or not 0 <= member.size <= LARGEST:
        raise InputError(f"{name} in {path} is not a plain file of a sensible size")
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


def download(
    folder: Path | None = None, sources: tuple[str, ...] = SOURCES, md5: str = MD5
) -> Path:
    """The official archive in `folder`, the user's cache directory unless given, fetched if it is
    not there. One with another MD5 is not kept."""
    folder = folder if folder is not None else user_cache_path("sense-at") / "cifar10"
    failures = []
    cached = folder / ARCHIVE
    if os.path.isfile(cached):
        if (found := _md5_of(cached)) == md5:
            return cached
        cached.unlink()
        failures.append(
            f"{cached} in the cache was damaged (MD5 should be {md5}, is {found}), and was removed"
        )
    for source in sources:
        try:
            path = Path(retrieve(source + ARCHIVE, ARCHIVE, folder))
        except OSError as error:  # requests' errors are OSErrors too
            failures.append(f"{source}: {type(error).__name__}")
            continue
        if (found := _md5_of(path)) == md5:
            return path
        path.unlink()
        failures.append(f"{source}: MD5 should be {md5}, is {found}")
    raise MissingFileError(
        f"cannot download {ARCHIVE} ({'; '.join(failures)}): fetch it by other means, unpack it "
        f"and pass --data-dir DIR, or put it into {folder}"
    )


def _md5_of(path: Path) -> str:
    content = read_file(path, LARGEST_ARCHIVE, follow=True)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _join(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)
