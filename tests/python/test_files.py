"""The one writer and the one reader: whole or not there, and nothing but plain files."""

import ast
import errno
import gzip
import os
import resource
import socket
import stat
import subprocess
import sys

import pytest

from conftest import ROOT
from sense import files
from sense.errors import InputError
from sense.files import (
    append_to,
    gunzip,
    gzip_bytes,
    make_folders,
    make_new_folder,
    parse_json,
    read_file,
    remove_file,
    write_atomically,
)


def test_a_file_is_written_whole_and_what_was_there_can_be_kept(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "one")
    write_atomically(path, b"two", keep=tmp_path / "kept")
    assert (path.read_bytes(), (tmp_path / "kept").read_bytes()) == (b"two", b"one")
    assert sorted(os.listdir(tmp_path)) == ["file", "kept"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_who_has_the_old_file_open_goes_on_reading_it(tmp_path):
    """A new file takes the name; the old one is never written to."""
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        write_atomically(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_the_disk_refuses_is_told_and_leaves_nothing(tmp_path, monkeypatch, call, number):
    path = tmp_path / "file"
    path.write_text("old")

    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, refuse)
        with pytest.raises(InputError, match=f"cannot write {path}: ") as caught:
            write_atomically(path, "new")
    assert isinstance(caught.value, OSError)
    words = {
        errno.ENOSPC: "disk is full",
        errno.EROFS: "read-only",
        errno.EACCES: "permission",
        errno.EIO: "see to the disk",
    }
    assert words[number] in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_real_limit_of_the_system_is_told(tmp_path):
    """In a process of its own, which may write no more than 100,000 bytes."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from sense.files import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "write_atomically(Path(sys.argv[1]), bytes(200_000))\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "file"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
    )
    assert "FileError: cannot write" in done.stderr
    assert "larger than is allowed" in done.stderr
    assert os.listdir(tmp_path) == []


def test_links_in_the_way_are_replaced_and_never_followed(tmp_path):
    """Under the final name, and under each temporary name that was ever predictable."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("file", ".file.part", "file.part", ".file.tmp"):
        (folder / name).symlink_to(victim)
    write_atomically(folder / "file", "new")
    assert victim.read_text() == "mine"
    assert not (folder / "file").is_symlink()
    assert (folder / "file").read_text() == "new"


def test_the_temporary_name_is_random_and_exclusive(tmp_path, monkeypatch):
    seen, real = [], os.open

    def spy(path, flags, *mode):
        if flags & os.O_CREAT:
            seen.append(os.path.basename(path))
            assert flags & os.O_EXCL
            assert flags & os.O_NOFOLLOW
        return real(path, flags, *mode)

    monkeypatch.setattr(files.os, "open", spy)
    for _ in range(3):
        write_atomically(tmp_path / "file", "x")
    assert len(set(seen)) == 3
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "0" * 16)
    (tmp_path / f".{'0' * 16}.part").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="in the way"):
        write_atomically(tmp_path / "file", "y")
    assert not (tmp_path / "victim").exists()


def things_that_are_no_files(folder):
    """One of each kind that a name may stand for."""
    (folder / "target").write_text("content")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to(folder / "target")
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "folder").mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.close()
    found = {
        "fifo": "a FIFO",
        "link": "a link",
        "dangling": "a link",
        "folder": "a folder",
        "socket": "a socket",
    }
    try:
        os.mknod(folder / "device", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # as /dev/zero
        found["device"] = "a device"
    except PermissionError:
        pass
    return found


def test_nothing_but_a_plain_file_is_read_and_none_hangs(tmp_path):
    for name, kind in things_that_are_no_files(tmp_path).items():
        with pytest.raises(InputError, match=f"{name} is {kind}, not a plain file"):
            read_file(tmp_path / name, 100)
        with pytest.raises(InputError, match=f"{name} is {kind}, not a plain file"):
            append_to(tmp_path / name, b"x", 0)
    assert (tmp_path / "target").read_text() == "content"
    assert read_file(tmp_path / "link", 100, follow=True) == b"content"
    with pytest.raises(InputError, match="is a FIFO"):
        read_file(tmp_path / "fifo", 100, follow=True)
    with pytest.raises(FileNotFoundError, match="cannot read"):
        read_file(tmp_path / "nowhere", 100)


def test_what_takes_the_place_of_a_file_after_it_was_looked_at_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "victim").write_text("secret")
    (tmp_path / "file").write_text("content")
    real = os.lstat

    def swap(path):
        found = real(path)
        os.unlink(path)
        os.symlink(tmp_path / "victim", path)
        return found

    monkeypatch.setattr(files.os, "lstat", swap)
    with pytest.raises(InputError, match="it is a link"):
        read_file(tmp_path / "file", 100)


def test_a_file_may_have_its_size_and_no_more(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    assert read_file(tmp_path / "file", 100) == bytes(100)
    with pytest.raises(InputError, match="file has 100 bytes, where at most 99 were expected"):
        read_file(tmp_path / "file", 99)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no room
    with pytest.raises(InputError, match="where at most 99"):
        read_file(tmp_path / "sparse", 99)


def test_appending_is_to_the_size_that_is_known(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    append_to(path, b"two", 3)
    with pytest.raises(InputError, match="it should have 3 bytes, has 6"):
        append_to(path, b"three", 3)
    assert path.read_bytes() == b"onetwo"
    os.link(path, tmp_path / "other")
    with pytest.raises(InputError, match="has another name"):
        append_to(path, b"three", 6)


def test_folders_are_made_and_numbered(tmp_path):
    assert make_folders(tmp_path / "a" / "b") == [tmp_path / "a", tmp_path / "a" / "b"]
    assert make_folders(tmp_path / "a" / "b") == []
    made = [make_new_folder(tmp_path / "c" / "run").name for _ in range(3)]
    assert made == ["run", "run-2", "run-3"]
    (tmp_path / "file").write_text("")
    for make in (make_folders, make_new_folder):
        with pytest.raises(InputError, match=r"cannot make the folder .*file"):
            make(tmp_path / "file" / "run")


def test_removing_takes_the_link_and_not_what_it_shows(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    remove_file(tmp_path / "link")
    remove_file(tmp_path / "link")
    assert os.listdir(tmp_path) == ["victim"]


DEEP = 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no JSON, or damaged"),
        ("{", "no JSON, or damaged"),
        (b"\xff{}", "no JSON, or damaged"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ('{"a": 1, "a": 2}', "a name occurs twice"),
        ('{"a": ' + "1" * 5000 + "}", "no JSON, or damaged"),
        ('{"a": ' + "[" * DEEP + "]" * DEEP + "}", "nested too deeply"),
        ("[1, 2]", "must hold a JSON object, got list"),
        ("3", "must hold a JSON object, got int"),
    ],
)
def test_json_that_this_package_does_not_write_is_refused_with_its_name(content, message):
    with pytest.raises(InputError, match=f"^some.json .*{message}"):
        parse_json(content, "some.json")


def test_gzip_gives_no_more_than_was_allowed():
    assert gunzip(gzip_bytes(b"content"), 7, "f.gz") == b"content"
    bomb = gzip.compress(bytes(50 << 20))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"f.gz holds more than the 1000 bytes"):
        gunzip(bomb, 1000, "f.gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20 << 10
    whole = gzip_bytes(b"content")
    for content in (b"", b"rubbish", whole[:-1], whole + b"x", whole + whole):
        with pytest.raises(InputError, match=r"f.gz is (no gzip file, or )?damaged"):
            gunzip(content, 100, "f.gz")
    for i in range(len(whole)):
        changed = whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :]
        try:
            assert (
                gunzip(changed, 100, "f.gz") == b"content"
            )  # of the header some bytes say nothing
        except InputError as error:
            assert "f.gz" in str(error)  # noqa: PT017


# What opens a file to write, or makes or moves one, by any name that Python has for it.
WRITERS = {
    "open",
    "fdopen",
    "write_text",
    "write_bytes",
    "touch",
    "mkdir",
    "makedirs",
    "rename",
    "link",
    "symlink",
    "symlink_to",
    "hardlink_to",
    "mkfifo",
    "mknod",
    "truncate",
    "ftruncate",
    "renames",
    "copy2",
    "copyfile",
    "copyfileobj",
    "copytree",
    "move",
    "make_archive",
    "unpack_archive",
    "extractall",
    "extract",
    "save_file",
    "savez",
    "savez_compressed",
    "savetxt",
    "tofile",
    "to_csv",
    "mkstemp",
    "mkdtemp",
    "NamedTemporaryFile",
    "TemporaryFile",
    "TemporaryDirectory",
    "memmap",
    "dump",
    "read_text",
    "read_bytes",
}
# Calls of such names that do something else, or read what the user named.
ALLOWED = {
    ("cli.py", "os.open"),  # /dev/null, for a reader that has gone
    ("data/cifar10.py", "tarfile.open"),
    ("data/cifar10.py", "read_bytes"),
    ("data/idx.py", "read_bytes"),
    ("data/mnist.py", "read_bytes"),
}


def test_nothing_else_in_the_package_opens_or_writes_files():
    package, found = ROOT / "python/sense", set()
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        if name in ("files.py", "folder_lock.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2]
            to_disk = called in ("torch.save", "np.save", "shutil.copy", "os.replace") and not any(
                ast.unparse(argument) == "buffer" for argument in node.args
            )
            if last in WRITERS or to_disk:
                found.add((name, called if called.startswith(("os.", "tarfile.")) else last))
    assert found <= ALLOWED, found - ALLOWED
