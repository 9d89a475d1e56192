"""Read and write the IDX format of MNIST: a magic number, the sizes, then unsigned bytes."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files import gunzip, gzip_bytes, read_file, unxz, unxz_beginning, write_atomically

UNSIGNED_BYTE = 0x08
MAX_DIMENSIONS = 8
MAX_COMPRESSION_RATIO = 200  # of a gzip or xz file; that of MNIST is 5
SMALL_BYTES = 1 << 26  # content up to this size is read with any compression ratio
MAX_BYTES = 1 << 34  # of a file and of its unzipped content

GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\0"  # the first bytes of a compressed file
UNZIP = {GZIP: gunzip, XZ: unxz}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes, plain or compressed by gzip or xz.

    Raises ValueError for a file that is not IDX, has another type or is truncated. A compressed
    file is unzipped only up to the size in its header.
    """
    content = read_file(path, MAX_BYTES, follow=True)
    unzip = next((unzip for magic, unzip in UNZIP.items() if content.startswith(magic)), None)
    if unzip is not None:
        start, shape = _parse_header(_unzip_header(content, path), path)
        most = max(SMALL_BYTES, MAX_COMPRESSION_RATIO * len(content))
        if math.prod(shape) > most:
            raise InputError(
                f"{path} would unzip to {math.prod(shape):,} bytes, more than "
                f"{MAX_COMPRESSION_RATIO} times its size: if it is correct, pass the unzipped file"
            )
        content = unzip(content, start + math.prod(shape), path)
    start, shape = _parse_header(content, path)
    if len(content) - start != math.prod(shape):
        raise InputError(
            f"{path} should hold {math.prod(shape):,} bytes for its shape {shape}, "
            f"has {len(content) - start:,}: download it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unzip_header(content: bytes, path: Path) -> bytes:
    """Return the beginning of the content, as long as the longest header."""
    longest = 4 + 4 * 255
    if content.startswith(XZ):
        return unxz_beginning(content, longest, path)[0]
    try:
        return zlib.decompressobj(wbits=31).decompress(content, longest)
    except zlib.error as error:
        raise InputError(f"{path} is a damaged gzip file ({error}): download it again") from None


def _parse_header(content: bytes, path: Path) -> tuple[int, tuple[int, ...]]:
    """Return the length of the header and the shape of the array."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise InputError(f"{path} is not an IDX file of unsigned bytes: starts {content[:4].hex()}")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise InputError(f"{path} should have 1 to {MAX_DIMENSIONS} dimensions, has {dimensions}")
    if len(content) < start:
        raise InputError(f"{path} is truncated: the sizes of {dimensions} dimensions are missing")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) > MAX_BYTES:
        raise InputError(
            f"{path} should hold {math.prod(shape):,} bytes for its shape {shape}: at "
            f"most {MAX_BYTES:,} are read"
        )
    return start, shape


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write unsigned bytes as gzipped IDX. The same array always gives the same file."""
    write_atomically(path, gzip_bytes(idx_bytes(array)))


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """Return the content of an IDX file of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()
