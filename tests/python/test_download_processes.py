"""Downloads in real processes: a signal ends one, another continues it, and two share one."""

import gzip
import hashlib
import os
import signal
import time

import pytest

from sense.folder_lock import FolderLock
from servers import CONTENT, answer, files
from waiting import wait_for

PROGRAM = """
import sys
from pathlib import Path
from sense.cli import one_line_errors
from sense.data import download
from sense.data.mnist import download as mnist
from sense.interrupts import noted_signals

download.WAIT = 0.05
with one_line_errors("sense.train"), noted_signals():
    mnist(Path(sys.argv[1]), (sys.argv[2],), {"file": sys.argv[3]})
"""


@pytest.fixture
def download_into(start, tmp_path):
    """Start a process that downloads a file into the folder."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/getting.py").write_text(PROGRAM)
    expected = hashlib.sha256(CONTENT).hexdigest()

    def begin(folder, url):
        return start("getting", folder, url, expected, module_path=tmp_path / "code")

    return begin


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def zipped():
    return gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_a_download_which_is_continued_later(serve, cache, download_into, number):
    server = serve(answer(zipped(), pause=0.05), answer(zipped()))
    first = download_into(cache, server.url)
    part = cache / "file.gz.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 3000, seconds=60, pause=0.02)
    sent = time.monotonic()
    first.send_signal(number)
    _, errors = first.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    assert "Traceback" not in errors
    if number != signal.SIGKILL:
        assert first.returncode == 128 + number
        assert errors.endswith("sense.train: interrupted\n")
    have = part.stat().st_size
    assert 3000 < have < len(zipped())
    second = download_into(cache, server.url)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert [begin for _, begin in server.requests] == [0, have]
    assert {name: data for name, data in files(cache).items() if name != ".lock"} == {
        "file.gz": zipped()
    }


def test_two_processes_share_one_download(serve, cache, download_into):
    server = serve(answer(zipped(), pause=0.005))
    both = [download_into(cache, server.url) for _ in range(2)]
    ends = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], ends
    assert len(server.requests) == 1
    assert sum("waiting for a download" in text for text in ends) <= 1
    assert files(cache) == {"file.gz": zipped()}


def test_a_download_waits_while_the_folder_is_locked(serve, cache, download_into):
    lock = FolderLock(cache)
    one = download_into(cache, serve(answer(zipped())).url)
    line = one.stderr.readline()
    assert f"waiting for a download: {cache} is in use by process {os.getpid()}" in line
    lock.release()
    one.communicate(timeout=60)
    assert one.returncode == 0
