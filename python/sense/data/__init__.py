"""Load data sets by name, such as `load_data("mnist-sample")`."""

from pathlib import Path

from ..errors import InputError
from .base import Data
from .cifar10 import load_cifar10, load_cifar10_test_data
from .folder import images_from_folder, load_folder
from .forms import as_data
from .images import ImageData, to_float
from .mnist import load_mnist, load_mnist_test_data, load_sample
from .tables import Scaling, TableData

DATASETS = {
    "mnist-sample": "10,000 training and 2,000 test images of MNIST, part of the package",
    "mnist": "all of MNIST, downloaded or from --data-dir",
    "cifar10": "CIFAR10, downloaded or from --data-dir (binary version)",
    "folder": "PNG and JPEG files in --data-dir: subfolders train and test, or images of one "
    "folder for each class, of which one in six is held out for testing",
    "arrays": "images passed in memory, from R or Python",
    "table": "a table of numeric features passed in memory, from R or Python",
}

__all__ = [
    "DATASETS",
    "Data",
    "ImageData",
    "Scaling",
    "TableData",
    "as_data",
    "images_from_folder",
    "load_data",
    "load_folder",
    "load_test_data",
    "to_float",
]


def load_data(name: str, data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """Load a data set.

    Parameters
    ----------
    name
        One of `DATASETS`.
    data_dir
        Folder with the four IDX files of MNIST or the binary files of CIFAR10, or with your own
        images in files of the same names and formats. Default: download the official files.
    cache_dir
        Folder for downloaded files. Default: the user's cache directory.
    """
    if name == "mnist-sample" and data_dir is None:
        return load_sample()
    if name == "mnist":
        return load_mnist(data_dir, cache_dir)
    if name == "cifar10":
        return load_cifar10(data_dir, cache_dir)
    if name == "folder":
        if data_dir is None:
            raise InputError("the dataset folder needs the folder of the images: --data-dir DIR")
        return load_folder(data_dir)
    if name == "mnist-sample":
        raise InputError("mnist-sample needs no --data-dir: use --dataset mnist")
    if name in ("arrays", "table"):
        raise InputError(
            f"the data set {name} is data that was passed in memory: pass it again, in Python or R "
            "(the shell cannot load it)"
        )
    raise InputError(f"unknown dataset {name!r}. The data sets are {', '.join(DATASETS)}")


def load_test_data(
    name: str, data_dir: Path | None = None, cache_dir: Path | None = None
) -> ImageData:
    """Load the test images of a data set; the files of the training images are not needed."""
    if name == "mnist":
        return load_mnist_test_data(data_dir, cache_dir)
    if name == "cifar10":
        return load_cifar10_test_data(data_dir, cache_dir)
    return load_data(name, data_dir, cache_dir)
