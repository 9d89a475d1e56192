"""Read and write the IDX format of MNIST: a magic number, the sizes, then unsigned bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files import gzipped, write_atomically

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes, gzipped or not.

    Raises ValueError, naming the file, for one that is not IDX, of another type, or cut short.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is a damaged gzip file ({error}): download it anew") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise InputError(f"{path} is not an IDX file of unsigned bytes: starts {content[:4].hex()}")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise InputError(f"{path} is cut short: no room for the sizes of {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise InputError(
            f"{path} should hold {math.prod(shape):,} bytes for its shape {shape}, "
            f"has {len(content) - start:,}: download it anew"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write unsigned bytes as gzipped IDX; the same array always gives the same file."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    write_atomically(path, gzipped(header + array.tobytes()))
