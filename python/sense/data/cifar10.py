"""CIFAR10 in its official binary version, which contains no pickle: downloaded or from a folder."""

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
from .download import Wanted, obtain
from .images import ImageData

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)
RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes, each by rows
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
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # from the page of the data set
SOURCES = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE_BYTES = 170_052_171
MAX_ARCHIVE_BYTES = 1_000_000_000
MAX_FILE_BYTES = 100_000_000  # of a file in the archive; the official ones have 30,730,000


def load_cifar10(data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """Load 50,000 training and 10,000 test images of 3 x 32 x 32, from `data_dir` (the folder of
    the .bin files or its parent) or, downloaded, from `cache_dir`."""
    if data_dir is not None:
        return from_files(read_folder(data_dir), str(data_dir))
    archive = download(cache_dir and cache_dir / "cifar10")
    return from_files(read_archive(archive), str(archive))


def load_cifar10_test_data(
    data_dir: Path | None = None, cache_dir: Path | None = None
) -> ImageData:
    """Load the 10,000 test images; `data_dir` needs only test_batch.bin."""
    if data_dir is None:
        return load_cifar10(None, cache_dir)
    files = read_folder(data_dir, needed=TEST)
    x, y = parse(files[TEST[0]], f"{TEST[0]} in {data_dir}")
    return ImageData.from_test_images("cifar10", x, y, CLASSES)


def from_files(files: dict[str, bytes], source: str) -> ImageData:
    """Return the data set, given the content of its files. Training files may be missing."""
    train = [name for name in TRAIN if name in files]
    train_x, train_y = _join([parse(files[name], f"{name} in {source}") for name in train])
    test_x, test_y = parse(files[TEST[0]], f"{TEST[0]} in {source}")
    return ImageData(
        name="cifar10",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=CLASSES,
    )


def parse(content: bytes, what: str) -> tuple[Tensor, Tensor]:
    """Return the images (uint8, n x 3 x 32 x 32) and labels (int64) of one file, called `what`.

    Raises ValueError if it does not consist of records of 3,073 bytes or has a label above 9.
    """
    if not content or len(content) % RECORD:
        raise InputError(
            f"{what} should be records of {RECORD:,} bytes, has {len(content):,} bytes: "
            "download it again"
        )
    records: NDArray[np.uint8] = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    if int(labels.max()) > 9:
        first = int((labels > 9).nonzero()[0])
        raise InputError(f"{what} has label {int(labels[first])} in record {first} (from 0)")
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), labels


def read_folder(folder: Path, needed: tuple[str, ...] = (TRAIN[0], *TEST)) -> dict[str, bytes]:
    """Return the content of the .bin files in the folder or in its cifar-10-batches-bin. Raises
    FileNotFoundError if one of those `needed` is missing."""
    inner = folder / FOLDER
    place = inner if inner.is_dir() else folder
    missing = [name for name in needed if not os.path.isfile(place / name)]
    if missing:
        raise MissingFileError(
            f"no {', '.join(missing)} in {place}. The folder must hold data_batch_1.bin to "
            "data_batch_5.bin and test_batch.bin of the binary version"
        )
    present = [name for name in (*TRAIN, *TEST) if os.path.isfile(place / name)]
    return {name: read_file(place / name, MAX_FILE_BYTES, follow=True) for name in present}


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the content of the six files. The archive is read in memory and nothing is extracted
    to the disk, so the paths in it do not matter."""
    content = io.BytesIO(read_file(path, MAX_ARCHIVE_BYTES, follow=True))
    try:
        with tarfile.open(fileobj=content, mode="r:gz") as archive:
            return {name: _member(archive, name, path) for name in (*TRAIN, *TEST)}
    except InputError:
        raise
    except (EOFError, LookupError, OSError, ValueError, tarfile.TarError, zlib.error) as error:
        raise InputError(
            f"{path} is damaged, or not the archive of CIFAR10 ({error}): remove it, and it will "
            "be downloaded again"
        ) from None


def _member(archive: tarfile.TarFile, name: str, path: Path) -> bytes:
    member = archive.getmember(f"{FOLDER}/{name}")
    if not member.isreg() or not 0 <= member.size <= MAX_FILE_BYTES:
        raise InputError(f"{name} in {path} is not a regular file of a plausible size")
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


def download(
    folder: Path | None = None,
    sources: tuple[str, ...] = SOURCES,
    md5: str = MD5,
    size: int | None = ARCHIVE_BYTES,
) -> Path:
    """Download the official archive into `folder` if it is missing, and return its path. Default
    folder: the user's cache directory. An archive with another MD5 is removed. A download that
    broke off is continued by the next call."""
    folder = folder if folder is not None else user_cache_path("sense-at") / "cifar10"
    wanted = Wanted(folder / ARCHIVE, md5, "MD5", _md5_of, MAX_ARCHIVE_BYTES, size)
    if reasons := obtain(wanted, [source + ARCHIVE for source in sources]):
        raise MissingFileError(
            f"cannot download {ARCHIVE} ({'; '.join(reasons)}): download it by other means, unpack "
            f"it and pass --data-dir DIR, or put the archive into {folder}"
        )
    return wanted.path


def _md5_of(path: Path) -> str:
    content = read_file(path, MAX_ARCHIVE_BYTES, follow=True)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _join(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)
