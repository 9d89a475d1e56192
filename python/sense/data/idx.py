"""Read and write the IDX format of MNIST: a magic number, the sizes, then unsigned bytes."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files import gunzip, gzip_bytes, read_file, write_atomically

UNSIGNED_BYTE = 0x08
MOST_DIMENSIONS = 8
DENSEST = 200  # times smaller than its content a gzip file may be; MNIST's are 5 times
SMALL = 1 << 26  # bytes that are read in any case
LARGEST = 1 << 34  # bytes of a file, and of what is in it


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes, gzipped or not.

    Raises ValueError, naming the file, for one that is not IDX, of another type, or cut short. A
    gzip file takes no more memory than the sizes at its begin say.
    """
    content = read_file(path, LARGEST, follow=True)
    if content[:2] == b"\x1f\x8b":
        start, shape = _sizes(_begin(content, path), path)
        most = max(SMALL, DENSEST * len(content))
        if math.prod(shape) > most:
            raise InputError(
                f"{path} says that it unzips to {math.prod(shape):,} bytes, {DENSEST} times its "
                "size and more, as no images do: if it is right, unzip it and pass that file"
            )
        content = gunzip(content, start + math.prod(shape), path)
    start, shape = _sizes(content, path)
    if len(content) - start != math.prod(shape):
        raise InputError(
            f"{path} should hold {math.prod(shape):,} bytes for its shape {shape}, "
            f"has {len(content) - start:,}: download it anew"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _begin(content: bytes, path: Path) -> bytes:
    """As much of what is zipped as the longest header takes."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content, 4 + 4 * 255)
    except zlib.error as error:
        raise InputError(f"{path} is a damaged gzip file ({error}): download it anew") from None


def _sizes(content: bytes, path: Path) -> tuple[int, tuple[int, ...]]:
    """Where the numbers begin, and the shape that the header gives them."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise InputError(f"{path} is not an IDX file of unsigned bytes: starts {content[:4].hex()}")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise InputError(f"{path} should have 1 to {MOST_DIMENSIONS} dimensions, has {dimensions}")
    if len(content) < start:
        raise InputError(f"{path} is cut short: no room for the sizes of {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) > LARGEST:
        raise InputError(
            f"{path} should hold {math.prod(shape):,} bytes for its shape {shape}: no "
            f"file of images has so many, at most {LARGEST:,} are read"
        )
    return start, shape


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write unsigned bytes as gzipped IDX; the same array always gives the same file."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    write_atomically(path, gzip_bytes(header + array.tobytes()))
