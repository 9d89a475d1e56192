"""MNIST: the sample that ships, the official files downloaded once, or a folder of the user's."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from ..errors import InputError, MissingFileError
from ..files import gunzip, read_file
from ..process_settings import retrieve
from .idx import read_idx
from .images import ImageData

FILES = {
    "train_x": "train-images-idx3-ubyte",
    "train_y": "train-labels-idx1-ubyte",
    "test_x": "t10k-images-idx3-ubyte",
    "test_y": "t10k-labels-idx1-ubyte",
}
# Of the unzipped official files, so that a mirror may zip them as it likes.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SAMPLE = Path(__file__).parent / "mnist_sample"

LARGEST = 1 << 28  # bytes of a file, zipped or not; the official ones have 47 million


def load_sample() -> ImageData:
    """10,000 training and 2,000 test images, drawn with a fixed seed from the official files by
    tools/make_mnist_sample.py; they ship with the package."""
    return load_folder(SAMPLE, "mnist-sample")


def load_mnist(data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """All of MNIST, from `data_dir` or, downloaded once, from `cache_dir`."""
    return load_folder(data_dir or download(cache_dir and cache_dir / "mnist"), "mnist")


def load_folder(folder: Path, name: str) -> ImageData:
    """A folder of four IDX files named as MNIST's, gzipped or not.

    There are as many classes as the largest training label says, ten at least.
    """
    train_x, train_y = _read_part(folder, "train")
    test_x, test_y = _read_part(folder, "test")
    return ImageData(name, train_x, train_y, test_x, test_y, _classes(train_y))


def load_mnist_test_data(data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """The test images of MNIST, or of the user's own folder, which needs no other files."""
    tests = {file: SHA256[file] for part, file in FILES.items() if part.startswith("test")}
    folder = data_dir or download(cache_dir and cache_dir / "mnist", sha256=tests)
    x, y = _read_part(folder, "test")
    return ImageData.from_test_images("mnist", x, y, _classes(y))


def _read_part(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """The images and labels of "train" or "test"."""
    images, labels = (
        torch.from_numpy(read_idx(_find(folder, FILES[f"{part}_{kind}"])).copy()) for kind in "xy"
    )
    if images.ndim != 3:
        raise InputError(
            f"{FILES[f'{part}_x']} in {folder} must hold n x height x width bytes, "
            f"has {images.ndim} dimensions"
        )
    return images.unsqueeze(1), labels.long()


def _classes(labels: Tensor) -> tuple[str, ...]:
    count = max(10, int(labels.max()) + 1) if len(labels) else 10
    return tuple(map(str, range(count)))


def download(
    folder: Path | None = None,
    mirrors: tuple[str, ...] = MIRRORS,
    sha256: dict[str, str] = SHA256,
) -> Path:
    """Fetch what is missing of the four files into `folder`, the user's cache directory unless
    given, and return it. A file whose unzipped content has another hash is not kept."""
    folder = folder if folder is not None else user_cache_path("sense-at") / "mnist"
    for file, expected in sha256.items():
        failures = [
            failure for mirror in mirrors if (failure := _fetch(mirror, file, folder, expected))
        ]  # the first mirror that serves the file leaves the others nothing to do
        if len(failures) == len(mirrors):
            raise MissingFileError(
                f"cannot download {', '.join(f'{name}.gz' for name in sha256)} "
                f"({'; '.join(failures)}): fetch them by other means and pass --data-dir DIR, "
                f"or put them into {folder}"
            )
    return folder


def _fetch(mirror: str, file: str, folder: Path, expected: str) -> str | None:
    """Have the file in the folder, or say why not."""
    zipped = f"{file}.gz"
    cached = folder / zipped
    damaged = ""
    if os.path.isfile(cached):
        if (found := _sum_of(cached)) == expected:
            return None
        cached.unlink()
        damaged = (
            f"{cached} in the cache was damaged (SHA-256 should be {expected}, is {found}), was "
            "removed, and could not be downloaded again: "
        )
    try:
        path = Path(retrieve(mirror + zipped, zipped, folder))
    except OSError as error:  # requests' errors are OSErrors too
        return f"{damaged}{mirror}: {type(error).__name__}"
    if (found := _sum_of(path)) == expected:
        return None
    path.unlink()
    return f"{damaged}{mirror}: SHA-256 should be {expected}, is {found}"


def _sum_of(path: Path) -> str:
    """The SHA-256 of what is in a gzip file."""
    try:
        content = gunzip(read_file(path, LARGEST, follow=True), LARGEST, path)
    except InputError:
        return "none, not gzip"
    return hashlib.sha256(content).hexdigest()


def _find(folder: Path, file: str) -> Path:
    """The file in the folder, in any of its usual spellings: `train-images-idx3-ubyte` or
    `train-images.idx3-ubyte`, in small letters or large ones, gzipped or not."""
    dotted = file.replace("-idx", ".idx")
    spellings = (file, f"{file}.gz", dotted, f"{dotted}.gz")
    if folder.is_dir():
        found = [
            path
            for spelling in spellings
            for path in sorted(folder.iterdir())
            if path.name.lower() == spelling and os.path.isfile(path)
        ]
        for other in found[1:]:
            if not np.array_equal(read_idx(found[0]), read_idx(other)):
                raise InputError(
                    f"{found[0].name} and {other.name} in {folder} are one file of MNIST's under "
                    "two names, and differ: remove the wrong one"
                )
        if found:
            return found[0]
    listed = ", ".join(f"{name}[.gz]" for name in FILES.values())
    raise MissingFileError(f"no {file}[.gz] in {folder}. A data folder holds {listed}")
