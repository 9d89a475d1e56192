"""Only one process at a time holds the lock of a folder, and the lock ends with the process."""

import os
import subprocess
import sys

import pytest

from conftest import ROOT
from sense import folder_lock
from sense.errors import FileError, InputError, TakenError
from sense.folder_lock import LOCK, FolderLock

HOLD = """
import sys; from pathlib import Path; from sense.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1])); print("held", flush=True); sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Start another process that holds the lock."""
    started = []

    def hold():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_process_is_rejected_at_once_with_the_number_of_the_first(hold, tmp_path):
    process = hold()
    with pytest.raises(TakenError, match=f"is in use by process {process.pid}, which is writing"):
        FolderLock(tmp_path)
    process.kill()
    process.wait()
    assert (tmp_path / LOCK).exists()  # the file of a killed process does not lock
    FolderLock(tmp_path).release()
    assert os.listdir(tmp_path) == []


def test_one_process_cannot_lock_twice(tmp_path):
    lock = FolderLock(tmp_path)
    with pytest.raises(TakenError, match=f"by process {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_a_lock_file_that_is_removed_while_it_is_opened_is_created_again(tmp_path, monkeypatch):
    """Otherwise two processes could hold locks of different files."""
    real, taken = folder_lock.fcntl.flock, []

    def flock(file, operation):
        if not taken:
            os.unlink(tmp_path / LOCK)  # its holder ends between our open and our lock
        taken.append(file)
        real(file, operation)

    monkeypatch.setattr(folder_lock.fcntl, "flock", flock)
    lock = FolderLock(tmp_path)
    assert len(taken) == 2
    assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_link_as_lock_file_is_rejected_and_not_followed(tmp_path):
    (tmp_path / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match=r"\.lock must be a regular file"):
        FolderLock(tmp_path)
    assert not (tmp_path / "victim").exists()


def test_a_disk_without_locks_is_reported(tmp_path, monkeypatch):
    def refuse(file, operation):
        raise OSError(folder_lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    with pytest.raises(FileError, match="is on a disk that does not support locks"):
        FolderLock(tmp_path)


def test_without_fcntl_folders_are_not_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "fcntl", None)
    FolderLock(tmp_path)
    FolderLock(tmp_path).release()
    assert os.listdir(tmp_path) == []
