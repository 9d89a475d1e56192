"""MNIST: the included sample, the downloaded official files, or a folder of the user."""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from ..errors import InputError, MissingFileError
from ..files import gunzip, read_file
from .download import Wanted, obtain
from .idx import read_idx
from .images import ImageData

FILES = {
    "train_x": "train-images-idx3-ubyte",
    "train_y": "train-labels-idx1-ubyte",
    "test_x": "t10k-images-idx3-ubyte",
    "test_y": "t10k-labels-idx1-ubyte",
}
# Of the unzipped official files, as mirrors may compress them differently.
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

MAX_BYTES = 1 << 28  # of a file, zipped or not; the largest official one has 47 million


def load_sample() -> ImageData:
    """Load the included sample: 10,000 training and 2,000 test images, drawn from the official
    files by tools/make_mnist_sample.py."""
    return load_folder(SAMPLE, "mnist-sample")


def load_mnist(data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """Load all of MNIST, from `data_dir` or, downloaded, from `cache_dir`."""
    return load_folder(data_dir or download(cache_dir and cache_dir / "mnist"))


def load_folder(folder: Path, name: str | None = None) -> ImageData:
    """Load a folder of four IDX files with the names of MNIST's, plain or compressed (.gz, .xz).

    The number of classes is the largest training label plus 1, at least 10. Default of `name`:
    "mnist" if the test images are those of MNIST, otherwise the name of the folder.
    """
    train_x, train_y = _read_part(folder, "train")
    test_x, test_y = _read_part(folder, "test")
    name = name or _data_name(folder, test_x)
    return ImageData(name, train_x, train_y, test_x, test_y, _classes(train_y))


def load_mnist_test_data(data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """Load the test images of MNIST; `data_dir` needs no other files."""
    tests = {file: SHA256[file] for part, file in FILES.items() if part.startswith("test")}
    folder = data_dir or download(cache_dir and cache_dir / "mnist", sha256=tests)
    x, y = _read_part(folder, "test")
    return ImageData.from_test_images(_data_name(folder, x), x, y, _classes(y))


def _data_name(folder: Path, test_x: Tensor) -> str:
    name = "mnist" if _idx_sha256(test_x) == SHA256[FILES["test_x"]] else folder.resolve().name
    return name or "images"


def _idx_sha256(images: Tensor) -> str:
    """Return the SHA-256 of the unzipped IDX file of these images (n x 1 x height x width)."""
    header = struct.pack(">4I", 0x803, len(images), *images.shape[2:])
    return hashlib.sha256(header + images.numpy().tobytes()).hexdigest()


def _read_part(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Return the images and labels of "train" or "test"."""
    images, labels = (
        torch.from_numpy(read_idx(_find_file(folder, FILES[f"{part}_{kind}"])).copy())
        for kind in "xy"
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
    """Download the missing ones of the four files into `folder`, and return it. Default folder: the
    user's cache directory. A file whose unzipped content has another hash is removed."""
    folder = folder if folder is not None else user_cache_path("sense-at") / "mnist"
    for file, expected in sha256.items():
        zipped = f"{file}.gz"
        wanted = Wanted(folder / zipped, expected, "SHA-256", _unzipped_sha256, MAX_BYTES)
        if reasons := obtain(wanted, [mirror + zipped for mirror in mirrors]):
            raise MissingFileError(
                f"cannot download {', '.join(f'{name}.gz' for name in sha256)} "
                f"({'; '.join(reasons)}): download them by other means and pass --data-dir DIR, "
                f"or put them into {folder}"
            )
    return folder


def _unzipped_sha256(path: Path) -> str:
    """Return the SHA-256 of the content of a gzip file."""
    try:
        content = gunzip(read_file(path, MAX_BYTES, follow=True), MAX_BYTES, path)
    except InputError:
        return "none, as it is not a gzip file"
    return hashlib.sha256(content).hexdigest()


def _find_file(folder: Path, file: str) -> Path:
    """Return the path of the file under any of its usual names: `train-images-idx3-ubyte` or
    `train-images.idx3-ubyte`, in lower or upper case, plain or compressed (.gz, .xz)."""
    dotted = file.replace("-idx", ".idx")
    spellings = [f"{name}{end}" for name in (file, dotted) for end in ("", ".gz", ".xz")]
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
                    f"{found[0].name} and {other.name} in {folder} hold the same part of MNIST "
                    "but differ: remove the wrong one"
                )
        if found:
            return found[0]
    listed = ", ".join(f"{name}[.gz]" for name in FILES.values())
    raise MissingFileError(f"no {file}[.gz] in {folder}. A data folder must hold {listed}")
