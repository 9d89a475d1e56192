"""Images, tables and labels from R, in R's order and types."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data import Data, ImageData, Scaling, TableData
from ..data.arrays import NUMBERS
from ..data.folder import MAX_IMAGES
from ..data.folder import images_from_folder as folder_images
from ..data.images import check_images
from ..errors import InputError, OtherDataError

FIT = "the fit"  # its name in messages
TRANSPOSE_BATCH = 256  # images converted at once from R's memory order to torch's


def images_from_folder(
    folder: str,
    size: list[int] | None = None,
    colour: bool | None = None,
    max_images: int = MAX_IMAGES,
) -> dict[str, Any]:
    """Return the images of a folder in R's order, n x height x width x channels, their labels, and
    the names of the classes and files. Arguments as in `sense.data.images_from_folder`."""
    shape = None if size is None else (int(size[0]), int(size[1]))
    found = folder_images(folder, size=shape, colour=colour, max_images=int(max_images))
    return {
        "x": found.x.permute(0, 2, 3, 1).contiguous().numpy().astype(np.int32),
        "y": found.y.tolist(),
        "classes": list(found.classes),
        "files": list(found.files),
    }


def path_or_none(path: str | None) -> Path | None:
    return None if path is None else Path(path)


def data_from_r(images: dict[str, Any]) -> Data:
    """Return the data set of R's arguments: a table if they have "features", otherwise images."""
    return table_data_from_r(**images) if "features" in images else image_data_from_r(**images)


def table_data_from_r(
    features: NDArray[Any],
    y: Any,
    classes: list[str],
    names: list[str],
    eps: list[float] | None = None,
    bounds: Any = None,
    x_test: NDArray[Any] | None = None,
    y_test: Any = None,
    scaling: Scaling | None = None,
) -> TableData:
    """Return a table from R: features in their own units, n x d, labels from 0, and a scaling, or
    the arguments of `Scaling.of`. The test rows may be missing."""
    if scaling is not None:
        order = _order_of(scaling.names, names)
        features, x_test = features[:, order], None if x_test is None else x_test[:, order]
    test_labels = None if x_test is None else labels_from_r(y_test)
    options = {"names": tuple(names), "eps": eps, "bounds": bounds}
    return TableData.from_features(
        "table",
        features,
        labels_from_r(y),
        x_test,
        test_labels,
        classes,
        scaling=scaling,
        **options,
    )


def table_as_in_run(
    images: dict[str, Any], stored: dict[str, Any], *, resume: bool, eps: bool
) -> TableData:
    """Return a table from R for a training with the options of a run, which include the scaling of
    its features.

    Parameters
    ----------
    images
        Arguments of `table_data_from_r`.
    stored
        The entry "features" of the run's config.json.
    resume
        Whether the run itself is trained further. Raises OtherDataError if eps or bounds are given
        and differ from those of the run.
    eps
        Whether the options of the training have an eps, in standard deviations.
    """
    kept = Scaling.from_plain(stored)
    new_eps, new_bounds = eps or "eps" in images, "bounds" in images
    plain = {name: value for name, value in images.items() if name not in ("eps", "bounds")}
    if resume and ("eps" in images or new_bounds):
        now = table_data_from_r(**images).scaling
        if not kept.is_close(now, scale="eps" in images, bounds=new_bounds):
            raise OtherDataError("the run has features with another eps or other bounds")
    if resume or not (new_eps or new_bounds):
        return table_data_from_r(**plain, scaling=kept)
    if not new_bounds and kept.is_bounded:
        order = _order_of(tuple(images["names"]), list(kept.names))
        images = images | {"bounds": [(kept.low[i], kept.high[i]) for i in order]}
    data = table_data_from_r(**images)
    if new_eps:
        return data
    order = _order_of(kept.names, list(data.scaling.names))
    low, high = ([column[i] for i in order] for column in (data.scaling.low, data.scaling.high))
    return table_data_from_r(**plain, scaling=replace(kept, low=tuple(low), high=tuple(high)))


def _order_of(wanted: tuple[str, ...], names: list[str]) -> list[int]:
    """Return the positions of the wanted features among `names`."""
    if sorted(wanted) != sorted(names):
        raise InputError(
            f"the fit has the features {', '.join(wanted)}, got {', '.join(names)}: give eps and "
            "bounds, or train anew"
        )
    return [names.index(name) for name in wanted]


def inputs_from_r(x: NDArray[Any], data: dict[str, Any], *, attacked: bool = True) -> torch.Tensor:
    """Return images, or scaled features, for a fit with this description of its data."""
    if "features" in data:
        return Scaling.from_plain(data["features"])(x, attacked=attacked)
    channels, height, width = data["shape"]
    return images_from_r(x, (channels, height, width))


def image_data_from_r(
    x: NDArray[Any],
    y: Any,
    classes: list[str],
    x_test: NDArray[Any] | None = None,
    y_test: Any = None,
) -> ImageData:
    """Return a data set from R's arrays: images as in `images_from_r`, labels from 0. The test
    images may be missing."""
    train_x, train_y = images_from_r(x, None), labels_from_r(y)
    test_x, test_y = train_x[:0], train_y[:0]
    if x_test is not None:
        channels, height, width = train_x.shape[1:]
        test_x, test_y = images_from_r(x_test, (channels, height, width)), labels_from_r(y_test)
    return ImageData("arrays", train_x, train_y, test_x, test_y, tuple(classes))


def images_from_r(x: NDArray[Any], shape: tuple[int, int, int] | None) -> torch.Tensor:
    """Return images n x channels x height x width from R's order, n x height x width (x channels).

    Integers are taken as bytes from 0 to 255, floating point numbers as pixels from 0 to 1. Raises
    InputError if the images do not have the `shape` (channels, height, width).
    """
    array = np.asarray(x)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise InputError(
            f"images must be an array n x height x width (x channels), got {array.shape}"
        )
    if shape is not None and array.shape[1:] != (*shape[1:], shape[0]):
        raise InputError(
            f"images must be n x {shape[1]} x {shape[2]} x {shape[0]} (height, width, channels), "
            f"as the training images, got {' x '.join(map(str, array.shape))}"
        )
    if np.issubdtype(array.dtype, np.integer):
        if array.size and (array.min() < 0 or array.max() > 255):
            raise InputError(
                f"integer pixels must be from 0 to 255, got {array.min()} to {array.max()}"
            )
        kind: type[np.generic] = np.uint8
    else:
        kind = np.float32
    n, height, width, channels = array.shape
    pixels = np.empty((n, channels, height, width), kind)
    # In R's memory order the first index varies fastest. Small batches fit into the CPU's cache.
    for first in range(0, n, TRANSPOSE_BATCH):
        part = slice(first, first + TRANSPOSE_BATCH)
        pixels[part] = array[part].transpose(0, 3, 1, 2)
    images = torch.from_numpy(pixels)
    check_images(images, "images")
    return images


def labels_from_r(y: Any) -> torch.Tensor:
    """Return labels, whole numbers from 0, as int64."""
    labels = np.atleast_1d(np.asarray(y))
    if labels.dtype.kind not in NUMBERS or not np.isfinite(labels).all() or (labels % 1).any():
        raise InputError(f"labels must be whole numbers from 0, got {labels[:5]} ...")
    return torch.from_numpy(labels.astype(np.int64))
