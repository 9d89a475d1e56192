"""The archive of CIFAR10: its download in pieces, and archives with members that do not belong."""

import hashlib
import io
import tarfile

import numpy as np
import pytest

from sense.data import cifar10
from sense.data.cifar10 import ARCHIVE, FOLDER, TEST, TRAIN, read_archive
from sense.errors import InputError
from servers import answer, files


def archive(extra=(), names=(*TRAIN, *TEST), size=2):
    """The bytes of an archive, with `extra` members: (name, type, link, declared size)."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, kind, link, declared in extra:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, declared
            tar.addfile(member, io.BytesIO(bytes(min(declared, 10))) if declared < 11 else None)
        for seed, name in enumerate(names):
            draw = np.random.default_rng(seed)
            rows = draw.integers(0, 256, (size, cifar10.RECORD), dtype=np.uint8)
            rows[:, 0] %= 10
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = rows.size
            tar.addfile(member, io.BytesIO(rows.tobytes()))
    return content.getvalue()


def test_the_archive_of_cifar10_is_downloaded_in_pieces_and_read(serve, tmp_path):
    content = archive(size=40)
    server = serve(answer(content, sent=100_000), answer(content, length=50_000), answer(content))
    md5 = hashlib.md5(content).hexdigest()
    path = cifar10.download(tmp_path, (server.url,), md5, len(content))
    assert server.requests == [
        (f"/{ARCHIVE}", 0),
        (f"/{ARCHIVE}", 100_000),
        (f"/{ARCHIVE}", 150_000),
    ]
    assert set(files(tmp_path)) == {ARCHIVE}
    data = cifar10.from_files(read_archive(path), str(path))
    assert (len(data.train_x), len(data.test_x)) == (200, 40)


def test_the_official_archive_is_known_by_its_size_and_md5():
    assert cifar10.SOURCES == ("https://www.cs.toronto.edu/~kriz/",)
    assert (cifar10.ARCHIVE_BYTES, cifar10.MD5) == (170052171, "c32a1d4ab5d03f1284b67883e8d87530")


HOSTILE = {
    "path out of the folder": ("../../evil", tarfile.REGTYPE, "", 5),
    "absolute path": ("/tmp/evil-of-sense", tarfile.REGTYPE, "", 5),
    "link": ("evil", tarfile.SYMTYPE, "/etc/passwd", 0),
    "hard link": ("evil", tarfile.LNKTYPE, "/etc/passwd", 0),
    "device": ("evil", tarfile.CHRTYPE, "", 0),
}


@pytest.mark.parametrize("member", HOSTILE.values(), ids=HOSTILE)
def test_other_members_of_an_archive_have_no_effect(tmp_path, member):
    place = tmp_path / "a/b"
    place.mkdir(parents=True)
    (place / ARCHIVE).write_bytes(archive([member]))
    assert set(read_archive(place / ARCHIVE)) == {*TRAIN, *TEST}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place / ARCHIVE]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ((f"{FOLDER}/{TRAIN[0]}", tarfile.SYMTYPE, "/etc/passwd", 0), "not a regular file"),
        ((f"{FOLDER}/{TRAIN[0]}", tarfile.LNKTYPE, "/etc/passwd", 0), "not a regular file"),
        ((f"{FOLDER}/{TRAIN[0]}", tarfile.REGTYPE, "", 2**40), "damaged|plausible size"),
    ],
    ids=["link", "hard link", "huge"],
)
def test_a_link_or_a_huge_member_in_place_of_a_file_is_refused(tmp_path, member, message):
    path = tmp_path / ARCHIVE
    path.write_bytes(archive([member], names=(*TRAIN[1:], *TEST)))
    with pytest.raises(InputError, match=message):
        read_archive(path)


@pytest.mark.parametrize("content", [b"", bytes(500)], ids=["empty", "too large"])
def test_a_damaged_archive_in_the_cache_is_replaced(serve, tmp_path, monkeypatch, content):
    whole = archive()
    monkeypatch.setattr(cifar10, "MAX_ARCHIVE_BYTES", len(whole))
    (tmp_path / ARCHIVE).write_bytes(content * len(whole))
    md5 = hashlib.md5(whole).hexdigest()
    cifar10.download(tmp_path, (serve(answer(whole)).url,), md5, len(whole))
    assert files(tmp_path) == {ARCHIVE: whole}
