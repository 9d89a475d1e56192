"""Files are written completely or not at all, and only regular files are read."""

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


def test_a_file_is_replaced_and_the_old_one_can_be_kept(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "one")
    write_atomically(path, b"two", backup=tmp_path / "kept")
    assert (path.read_bytes(), (tmp_path / "kept").read_bytes()) == (b"two", b"one")
    assert sorted(os.listdir(tmp_path)) == ["file", "kept"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_reader_of_the_old_file_can_read_on(tmp_path):
    """A new file takes the name; the old one is never written to."""
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        write_atomically(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_error_is_reported_and_leaves_the_old_file(tmp_path, monkeypatch, call, number):
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
        errno.EIO: "check the disk",
    }
    assert words[number] in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_file_size_limit_of_the_system_is_reported(tmp_path):
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


def test_links_are_replaced_and_not_followed(tmp_path):
    """Under the final name and under predictable temporary names."""
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


def test_the_temporary_file_is_never_an_existing_one(tmp_path, monkeypatch):
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


def irregular_files(folder):
    """Create one of each kind that is not a regular file."""
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


def test_only_regular_files_are_read(tmp_path):
    for name, kind in irregular_files(tmp_path).items():
        with pytest.raises(InputError, match=f"{name} is {kind}, not a regular file"):
            read_file(tmp_path / name, 100)
        with pytest.raises(InputError, match=f"{name} is {kind}, not a regular file"):
            append_to(tmp_path / name, b"x", 0)
    assert (tmp_path / "target").read_text() == "content"
    assert read_file(tmp_path / "link", 100, follow=True) == b"content"
    with pytest.raises(InputError, match="is a FIFO"):
        read_file(tmp_path / "fifo", 100, follow=True)
    with pytest.raises(FileNotFoundError, match="cannot read"):
        read_file(tmp_path / "nowhere", 100)


def test_a_link_that_replaces_a_checked_file_is_not_read(tmp_path, monkeypatch):
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


def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    assert read_file(tmp_path / "file", 100) == bytes(100)
    with pytest.raises(InputError, match="file has 100 bytes, where at most 99 were expected"):
        read_file(tmp_path / "file", 99)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that uses no space
    with pytest.raises(InputError, match="where at most 99"):
        read_file(tmp_path / "sparse", 99)


def test_appending_needs_the_expected_size_and_no_hard_link(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    append_to(path, b"two", 3)
    with pytest.raises(InputError, match="it should have 3 bytes, has 6"):
        append_to(path, b"three", 3)
    assert path.read_bytes() == b"onetwo"
    os.link(path, tmp_path / "other")
    with pytest.raises(InputError, match="has a hard link"):
        append_to(path, b"three", 6)


def test_folders_are_created_and_numbered(tmp_path):
    assert make_folders(tmp_path / "a" / "b") == [tmp_path / "a", tmp_path / "a" / "b"]
    assert make_folders(tmp_path / "a" / "b") == []
    made = [make_new_folder(tmp_path / "c" / "run").name for _ in range(3)]
    assert made == ["run", "run-2", "run-3"]
    (tmp_path / "file").write_text("")
    for make in (make_folders, make_new_folder):
        with pytest.raises(InputError, match=r"cannot create the folder .*file"):
            make(tmp_path / "file" / "run")


def test_a_link_is_removed_and_not_its_target(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    remove_file(tmp_path / "link")
    remove_file(tmp_path / "link")
    assert os.listdir(tmp_path) == ["victim"]


DEEP = 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON, or damaged"),
        ("{", "not JSON, or damaged"),
        (b"\xff{}", "not JSON, or damaged"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": 1, "a": 2}', "a name occurs twice"),
        ('{"a": ' + "1" * 5000 + "}", "not JSON, or damaged"),
        ('{"a": ' + "[" * DEEP + "]" * DEEP + "}", "nested too deeply"),
        ("[1, 2]", "must hold a JSON object, got list"),
        ("3", "must hold a JSON object, got int"),
    ],
)
def test_json_of_another_form_is_rejected_with_its_name(content, message):
    with pytest.raises(InputError, match=f"^some.json .*{message}"):
        parse_json(content, "some.json")


def test_unzipping_stops_at_the_limit():
    assert gunzip(gzip_bytes(b"content"), 7, "f.gz") == b"content"
    bomb = gzip.compress(bytes(50 << 20))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"f.gz holds more than the expected 1000 bytes"):
        gunzip(bomb, 1000, "f.gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20 << 10
    whole = gzip_bytes(b"content")
    for content in (b"", b"rubbish", whole[:-1], whole + b"x", whole + whole):
        with pytest.raises(InputError, match=r"f.gz is (not a gzip file, or )?damaged"):
            gunzip(content, 100, "f.gz")
    for i in range(len(whole)):
        changed = whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :]
        try:
            # Some bytes of the header have no effect.
            assert gunzip(changed, 100, "f.gz") == b"content"
        except InputError as error:
            assert "f.gz" in str(error)  # noqa: PT017


# Functions of Python that open a file for writing, or create or move one.
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
# Calls of these names that do something else, or read a file that the user named.
ALLOWED = {
    ("data/download.py", "open"),  # a URL
    ("cli.py", "os.open"),  # /dev/null, after a broken pipe
    ("data/cifar10.py", "tarfile.open"),
    ("data/cifar10.py", "read_bytes"),
    ("data/folder.py", "open"),  # of pillow, from the bytes of a file of the user's images
    ("data/folder.py", "read_bytes"),
    ("data/idx.py", "read_bytes"),
    ("data/mnist.py", "read_bytes"),
}


def test_no_other_module_opens_or_writes_files():
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
