"""Data sets by name. `load_data("mnist-sample")`."""

from pathlib import Path

from ..errors import InputError
from .cifar10 import load_cifar10, load_cifar10_test_data
from .images import ImageData, to_float
from .mnist import load_mnist, load_mnist_test_data, load_sample

DATASETS = {
    "mnist-sample": "10,000 + 2,000 images of MNIST that ship with the package",
    "mnist": "all of MNIST, downloaded once or from --data-dir",
    "cifar10": "CIFAR10, the binary version, downloaded once or from --data-dir",
    "arrays": "images handed over in memory, from R or Python",
}

__all__ = ["DATASETS", "ImageData", "load_data", "load_test_data", "to_float"]


def load_data(name: str, data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """The data set of that name.

    `data_dir` holds the four IDX files of `mnist` or the binary files of `cifar10`, or a user's own
    of the same layout. Without it they are downloaded into `cache_dir`, the user's cache directory
    unless given.
    """
    if name == "mnist-sample" and data_dir is None:
        return load_sample()
    if name == "mnist":
        return load_mnist(data_dir, cache_dir)
    if name == "cifar10":
        return load_cifar10(data_dir, cache_dir)
    if name == "mnist-sample":
        raise InputError("mnist-sample ships with the package: with --data-dir say --dataset mnist")
    if name == "arrays":
        raise InputError("the images of this run were handed over in memory: hand them over again")
    raise InputError(f"unknown dataset {name!r}. There are {', '.join(DATASETS)}")


def load_test_data(
    name: str, data_dir: Path | None = None, cache_dir: Path | None = None
) -> ImageData:
    """The test images of that data set; the files of the training images may be absent."""
    if name == "mnist":
        return load_mnist_test_data(data_dir, cache_dir)
    if name == "cifar10":
        return load_cifar10_test_data(data_dir, cache_dir)
    return load_data(name, data_dir, cache_dir)
