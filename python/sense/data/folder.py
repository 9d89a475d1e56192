"""Images from a folder with one subfolder for each class, decoded by pillow."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, MissingFileError, MissingPackageError
from .images import ImageData
from .split import hold_out

FORMATS = ("PNG", "JPEG")  # pillow reads no others, so that only these decoders see the files
SUFFIXES = (".png", ".jpg", ".jpeg")
OTHER_IMAGES = (".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".avif", ".jp2")
MAX_IMAGES = 100_000
MAX_PIXELS = 2**26  # of one image, before it is resized
MAX_FILE_BYTES = 2**27
MAX_BYTES = 2**32  # of all images in memory
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
TEST_PART = 6  # without a folder "test", one in 6 images is a test image
SHOWN = 5  # broken files that an error names


class FolderImages(NamedTuple):
    """Images of a folder.

    `x`: uint8, n x channels x height x width. `y`: int64 labels, positions in `classes`, the names
    of the subfolders. `files`: paths within the folder.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    files: tuple[str, ...]


def images_from_folder(
    folder: Path | str,
    *,
    size: tuple[int, int] | None = None,
    colour: bool | None = None,
    classes: Sequence[str] | None = None,
    max_images: int = MAX_IMAGES,
) -> FolderImages:
    """Read the PNG and JPEG files of a folder with one subfolder for each class.

    Classes and files are in the order of their names. Hidden files and folders are left out, and so
    are links that lead out of the folder. A photograph is turned upright as its EXIF data say;
    transparent pixels are shown on white.

    Parameters
    ----------
    folder
        The folder, with a subfolder for each class.
    size
        (height, width) to resize each image to, by bilinear interpolation with antialiasing; its
        proportions are not kept. Default: all images must have the same size.
    colour
        True for three channels, False for grey. Default: grey if all images are grey.
    classes
        The names of the classes, if the folder may lack some. Default: all subfolders.
    max_images
        Largest number of images; more are an error before any is decoded.

    Raises
    ------
    InputError
        For a folder without images, unequal sizes, too many or too large images, and for files that
        cannot be read, with their names.
    """
    folder = Path(folder)
    if size is not None:
        size = _checked_size(size)
    paths, labels, names = _list_files(folder, classes)
    if len(paths) > max_images:
        raise InputError(
            f"{folder} has {len(paths):,} images, more than max_images = {max_images:,}: increase "
            "it if they fit into memory"
        )
    shapes, grey = _scan(folder, paths)
    if colour is None:
        colour = not grey
    if size is None:
        size = _common_size(folder, paths, shapes)
    height, width = size
    shape = (len(paths), 3 if colour else 1, height, width)
    if np.prod([float(n) for n in shape]) > MAX_BYTES:
        raise InputError(
            f"{len(paths):,} images of {height} x {width} need more than {MAX_BYTES / 2**30:g} GiB"
            ": choose a smaller size"
        )
    x = np.empty(shape, np.uint8)
    for i, path in enumerate(paths):
        x[i] = _decode(path, size, colour)
    files = tuple(str(path.relative_to(folder)) for path in paths)
    return FolderImages(torch.from_numpy(x), torch.tensor(labels), names, files)


def _checked_size(size: Any) -> tuple[int, int]:
    valid = isinstance(size, tuple | list) and len(size) == 2
    if not valid or not all(isinstance(n, int | np.integer) and n >= 1 for n in size):
        raise InputError(f"size must be (height, width), whole numbers from 1, got {size!r}")
    return int(size[0]), int(size[1])


def load_folder(
    folder: Path | str, *, size: tuple[int, int] | None = None, colour: bool | None = None
) -> ImageData:
    """Return the images of a folder as a data set.

    With the subfolders "train" and "test", each has one subfolder for each class. Otherwise the
    folder itself has, and one in six images of each class, drawn at random with a fixed seed, is a
    test image. `size` and `colour` are as in `images_from_folder`.
    """
    folder = Path(folder)
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train = images_from_folder(folder / "train", size=size, colour=colour)
        shape = (int(train.x.shape[2]), int(train.x.shape[3]))
        test = images_from_folder(
            folder / "test",
            size=None if size is None else shape,
            colour=train.x.shape[1] == 3,
            classes=train.classes,
        )
        return ImageData("folder", train.x, train.y, test.x, test.y, train.classes)
    x, y, classes, _ = images_from_folder(folder, size=size, colour=colour)
    if len(y) < TEST_PART:
        raise InputError(
            f"{folder} has {len(y)} images: one in {TEST_PART} is a test image, so at least "
            f"{TEST_PART} are needed; or make the subfolders train and test"
        )
    kept, held = hold_out(y, len(y) // TEST_PART, 0)
    return ImageData("folder", x[kept], y[kept], x[held], y[held], classes)


def _list_files(
    folder: Path, classes: Sequence[str] | None
) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """Return the paths of the images, their labels, and the names of the classes."""
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder}")
    root = folder.resolve()
    subfolders = {entry.name: entry for entry in _visible(folder, root) if entry.is_dir()}
    names = tuple(sorted(subfolders)) if classes is None else tuple(classes)
    if unknown := sorted(set(subfolders) - set(names)):
        raise InputError(f"{folder} has a class that the training images lack: {unknown[0]}")
    if len(names) < 2:
        raise InputError(
            f"{folder} must have a subfolder for each of at least two classes, got {len(names)}"
        )
    paths, labels = [], []
    for label, name in enumerate(names):
        found = _images_in(subfolders[name], root) if name in subfolders else []
        if not found and classes is None:
            raise InputError(
                f"{subfolders[name]} has no PNG or JPEG file (its own subfolders are not searched)"
            )
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise InputError(f"{folder} has no PNG or JPEG file")
    return paths, labels, names


def _visible(folder: Path, root: Path) -> Iterator[Path]:
    """Yield what is in a folder, without hidden names and links that lead out of the root."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_symlink() and not _leads_into(path, root):
            continue
        yield path


def _leads_into(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # to itself, or to nothing
        return False


def _images_in(folder: Path, root: Path) -> list[Path]:
    found = []
    for path in _visible(folder, root):
        suffix = path.suffix.lower()
        if suffix in OTHER_IMAGES:
            raise InputError(f"{path} is neither PNG nor JPEG: convert it, or remove it")
        if suffix in SUFFIXES and path.is_file():
            found.append(path)
    return found


def _scan(folder: Path, paths: Sequence[Path]) -> tuple[list[tuple[int, int]], bool]:
    """Return (height, width) of each image, and whether all are grey, from their headers."""
    shapes, modes, broken = [], [], []
    for path in paths:
        try:
            with _open(path) as image:
                # A photograph on its side has the EXIF orientations 5 to 8.
                turned = image.getexif().get(0x0112, 1) >= 5
                width, height = image.size[::-1] if turned else image.size
                shapes.append((height, width))
                modes.append(image.mode)
        except InputError:
            raise
        except Exception as error:  # decoders raise many types for a damaged file
            broken.append(f"{path.relative_to(folder)} ({error})")
    if broken:
        more = f", and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        raise InputError(
            f"{len(broken)} files of {folder} cannot be read: {'; '.join(broken[:SHOWN])}{more}. "
            "Remove or repair them"
        )
    return shapes, all(mode in GREY_MODES for mode in modes)


def _common_size(
    folder: Path, paths: Sequence[Path], shapes: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        first, second = (
            f"{paths[i].relative_to(folder)} is {shapes[i][0]} x {shapes[i][1]}" for i in (0, other)
        )
        raise InputError(
            f"the images of {folder} have different sizes, height x width: {first}, {second}. Pass "
            "the size to resize them to, such as size = (32, 32)"
        )
    return shapes[0]


def _open(path: Path) -> Any:
    """Open an image without decoding it. Raises InputError if it is too large."""
    image_module = _pillow()
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path} has more than {MAX_FILE_BYTES:,} bytes: make it smaller")
    image = image_module.open(io.BytesIO(path.read_bytes()), formats=FORMATS)
    if image.size[0] * image.size[1] > MAX_PIXELS:
        raise InputError(
            f"{path} has {image.size[0]} x {image.size[1]} pixels, more than {MAX_PIXELS:,}: make "
            "it smaller"
        )
    return image


def _decode(path: Path, size: tuple[int, int], colour: bool) -> NDArray[np.uint8]:
    """Return an image as channels x height x width."""
    from PIL import ImageOps

    image_module = _pillow()
    try:
        with _open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits, which convert() would clip
                high = np.asarray(image).astype(np.uint32) >> 8
                image = image_module.fromarray(high.clip(0, 255).astype(np.uint8))
            if "A" in image.getbands() or "transparency" in image.info:
                white = image_module.new("RGBA", image.size, "white")
                image = image_module.alpha_composite(white, image.convert("RGBA"))
            image = image.convert("RGB" if colour else "L")
            if image.size != (size[1], size[0]):
                image = image.resize((size[1], size[0]), image_module.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be decoded ({error}): remove or repair it") from error
    return pixels.transpose(2, 0, 1) if colour else pixels[None]


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingPackageError(
            "reading images needs the package pillow: pip install 'sense-at[images]', or pip "
            "install pillow"
        ) from None
    return Image
