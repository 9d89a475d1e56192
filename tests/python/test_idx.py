import gzip
import lzma
import resource
import struct
import sys

import numpy as np
import pytest

from sense.data.idx import read_idx, write_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = struct.pack(">BBBB3I", 0, 0, 8, 3, 2, 3, 4)
PLAIN = HEADER + IMAGES.tobytes()
ZIPPED = gzip.compress(PLAIN)
XZ = lzma.compress(PLAIN)


def flipped(content, position):
    changed = bytearray(content)
    changed[position] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 28, 28)])
def test_a_written_array_is_read(tmp_path, shape):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a.gz"), array)


@pytest.mark.parametrize("content", [PLAIN, ZIPPED, XZ], ids=["plain", "gzip", "xz"])
def test_compression_is_recognised_by_the_content(tmp_path, content):
    (tmp_path / "any-name").write_bytes(content)
    np.testing.assert_array_equal(read_idx(tmp_path / "any-name"), IMAGES)


def test_a_python_without_lzma_says_so(tmp_path, monkeypatch):
    (tmp_path / "a.xz").write_bytes(XZ)
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(ValueError, match=r"a.xz is compressed by xz, .* without the module lzma"):
        read_idx(tmp_path / "a.xz")


def test_the_same_array_gives_the_same_file(tmp_path):
    write_idx(tmp_path / "a", IMAGES)
    write_idx(tmp_path / "b", IMAGES)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


DAMAGED = {
    "empty": (b"", "not an IDX file"),
    "html": (b"<html>not found</html>", "not an IDX file of unsigned bytes: starts 3c68746d"),
    "magic": (b"\0\1" + PLAIN[2:], "not an IDX file"),
    "floats": (PLAIN[:2] + b"\x0d" + PLAIN[3:], "not an IDX file of unsigned bytes"),
    "no sizes": (PLAIN[:9], "truncated: the sizes of 3 dimensions are missing"),
    "cut short": (PLAIN[:-1], r"should hold 24 bytes for its shape \(2, 3, 4\), has 23"),
    "too long": (PLAIN + b"x", "should hold 24 bytes .* has 25"),
    "absurd": (
        struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3),
        r"should hold 79,228,162.* at most",
    ),
    "gzip cut short": (ZIPPED[:-9], "its gzip stream does not end"),
    "gzip header": (flipped(ZIPPED, 2), "damaged gzip file"),
    "gzip stream": (flipped(ZIPPED, 12), "damaged"),
    "gzip checksum": (flipped(ZIPPED, len(ZIPPED) - 8), "damaged"),
    "gzip of more than it says": (
        gzip.compress(PLAIN + b"x"),
        "holds more than the expected 40 bytes",
    ),
    "xz cut short": (XZ[:-9], "its xz stream does not end"),
    "xz header": (flipped(XZ, 7), "is not an xz file, or damaged"),
    "xz stream": (flipped(XZ, 30), "is not an xz file, or damaged"),
    "xz checksum": (flipped(XZ, len(XZ) - 8), "damaged"),
    "xz of more than it says": (
        lzma.compress(PLAIN + b"x"),
        "holds more than the expected 40 bytes",
    ),
    "xz of html": (lzma.compress(b"<html>"), "not an IDX file"),
    "no dimensions": (b"\0\0\x08\0x", "should have 1 to 8 dimensions, has 0"),
    "too many dimensions": (b"\0\0\x08\xff" + bytes(1020), "1 to 8 dimensions, has 255"),
    "gzip of html": (gzip.compress(b"<html>"), "not an IDX file"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte .*{message}"):
        read_idx(path)


@pytest.mark.parametrize("opener", [gzip.open, lzma.open], ids=["gzip", "xz"])
def test_a_bomb_is_rejected_without_unzipping_it(tmp_path, opener):
    size = 300_000_000
    path = tmp_path / "bomb"
    with opener(path, "wb") as file:
        file.write(b"\0\0\x08\x01" + size.to_bytes(4, "big"))
        for _ in range(300):
            file.write(bytes(1_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"would unzip to 300,000,000 bytes, more than 200 times"):
        read_idx(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
