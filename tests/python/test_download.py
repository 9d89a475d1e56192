"""Downloads from a server on this machine that breaks off, is slow, lies about length, sends other
bytes or redirects; interrupted downloads, and two at once."""

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from conftest import ROOT
from sense.data import cifar10, download
from sense.data.cifar10 import ARCHIVE, FOLDER, TEST, TRAIN, read_archive
from sense.data.download import Wanted, obtain
from sense.errors import FileError, InputError
from sense.folder_lock import FolderLock

CONTENT = np.random.default_rng(1).bytes(200_000)
OTHER = np.random.default_rng(2).bytes(200_000)


class Server:
    """A server on the loopback interface. Each request takes the next of `answers`, the last one
    for ever: functions that take the handler and the first byte that was asked for."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                wanted = self.headers.get("Range", "bytes=0-")
                begin = int(wanted.removeprefix("bytes=").rstrip("-"))
                outer.asked.append((self.path, begin))
                answer = outer.answers[min(len(outer.asked), len(outer.answers)) - 1]
                self.close_connection = True
                with suppress(BrokenPipeError, ConnectionResetError):  # the reader has gone
                    answer(self, begin)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/"


def answer(
    content=CONTENT, length="true", sent=None, ranges=True, status=None, pause=0.0, headers=()
):
    """Answer a request with the content from its first byte on.

    `length` is what the header says: "true", None for no header, or a number; `sent` the number of
    bytes after which the connection ends; `pause` the seconds between thousands of bytes.
    """

    def reply(handler, begin):
        rest = content[begin:] if ranges else content
        partial = ranges and begin
        handler.send_response(status or (206 if partial else 200))
        if partial:
            handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if length is not None:
            handler.send_header("Content-Length", str(len(rest) if length == "true" else length))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        out = rest if sent is None else rest[:sent]
        step = 1000 if pause else max(1, len(out))
        for at in range(0, len(out), step):
            handler.wfile.write(out[at : at + step])
            time.sleep(pause)

    return reply


def refuse(status, location=None):
    def reply(handler, begin):
        handler.send_response(status, "no\x1b[31m")
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "PROGRESS", 40_000)
    servers = []

    def start(*answers):
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wanted(folder, size=None, limit=1_000_000, content=CONTENT):
    expected = hashlib.sha256(content).hexdigest()
    return Wanted(folder / "file", expected, "SHA-256", sha256, limit, size)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


GOOD = {
    "true length": answer(),
    "no length": answer(length=None),
    "resumed although ranges are not supported": answer(ranges=False),
    "redirected": None,
    "compressed by name only": answer(headers=[("Content-Encoding", "gzip")]),
}


@pytest.mark.parametrize("known", [True, False], ids=["known size", "unknown size"])
@pytest.mark.parametrize("reply", GOOD.values(), ids=GOOD)
def test_a_file_is_downloaded(serve, tmp_path, reply, known):
    server = serve(reply or answer())
    url = server.url
    if reply is None:
        url = serve(refuse(302, server.url + "elsewhere")).url
    one = wanted(tmp_path / "new/cache", len(CONTENT) if known else None)
    assert obtain(one, [url]) == []
    assert files(tmp_path / "new/cache") == {"file": CONTENT}
    assert obtain(one, [url]) == []
    assert len(server.asked) == 1, "once only"


@pytest.mark.parametrize("known", [True, False], ids=["known size", "unknown size"])
def test_a_download_that_breaks_off_is_resumed(serve, tmp_path, known):
    server = serve(answer(sent=50_000), answer(sent=1), answer(sent=70_000), answer())
    assert obtain(wanted(tmp_path, len(CONTENT) if known else None), [server.url]) == []
    assert [begin for _, begin in server.asked] == [0, 50_000, 50_001, 120_001]
    assert files(tmp_path) == {"file": CONTENT}


def test_it_is_resumed_by_a_later_call_and_from_another_source(serve, tmp_path):
    broken = serve(answer(sent=60_000), refuse(404))
    (reason,) = obtain(wanted(tmp_path), [broken.url])
    assert reason == f"{broken.url}: HTTP status 404 Not Found", "not the words of the server"
    assert files(tmp_path) == {"file.part": CONTENT[:60_000]}
    whole = serve(answer())
    assert obtain(wanted(tmp_path), [broken.url, whole.url]) == []
    assert [begin for _, begin in whole.asked] == [60_000]


def test_a_server_that_never_gets_further_is_given_up(serve, tmp_path):
    server = serve(answer(sent=0))
    (reason,) = obtain(wanted(tmp_path), [server.url])
    assert "broke off after 0 of 200,000 bytes" in reason
    assert len(server.asked) == download.TRIES


LENGTHS = {
    "too long": answer(length=300_000),
    "too short": answer(length=50_000),
    "huge": answer(length=10**17),
    "no number": answer(length="many"),
    "of 5000 digits": answer(length="9" * 5000),
    "negative": answer(length=-5),
}


@pytest.mark.parametrize("reply", LENGTHS.values(), ids=LENGTHS)
def test_a_wrong_length_does_not_matter_if_the_size_is_known(serve, tmp_path, reply):
    server = serve(reply)
    assert obtain(wanted(tmp_path, len(CONTENT)), [server.url]) == []
    assert files(tmp_path) == {"file": CONTENT}


def test_a_wrong_length_of_a_file_of_unknown_size(serve, tmp_path):
    assert obtain(wanted(tmp_path / "a"), [serve(answer(length=300_000)).url]) == []
    assert files(tmp_path / "a") == {"file": CONTENT}, "it is whole, whatever the length"
    short = serve(answer(length=30_000))
    whole = serve(answer())
    assert obtain(wanted(tmp_path / "b"), [short.url, whole.url]) == []
    assert files(tmp_path / "b") == {"file": CONTENT}
    (reason,) = obtain(wanted(tmp_path / "c"), [serve(answer(length=10**17)).url])
    assert "it has 100,000,000,000,000,000 bytes, where at most 1,000,000 were" in reason
    assert files(tmp_path / "c") == {}


def test_no_more_is_written_than_the_limit(serve, tmp_path):
    def endless(handler, begin):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(10_000))

    (reason,) = obtain(wanted(tmp_path, limit=300_000), [serve(endless).url])
    assert "more than 300,000 bytes" in reason
    assert files(tmp_path) == {}
    (reason,) = obtain(wanted(tmp_path, size=len(CONTENT)), [serve(endless).url])
    assert "SHA-256 should be" in reason
    assert files(tmp_path) == {}


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_other_bytes_are_not_kept(serve, tmp_path, size):
    forged, whole = serve(answer(OTHER)), serve(answer())
    (reason,) = obtain(wanted(tmp_path, size), [forged.url])
    assert reason.startswith(
        f"{forged.url}: SHA-256 should be {hashlib.sha256(CONTENT).hexdigest()}"
    )
    assert reason.endswith(f", is {hashlib.sha256(OTHER).hexdigest()}")
    assert files(tmp_path) == {}
    assert len(forged.asked) == 1, "another try would not help"
    assert obtain(wanted(tmp_path, size), [forged.url, whole.url]) == []


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize("part", [OTHER[:50_000], OTHER, OTHER * 9], ids=["begin", "whole", "long"])
def test_the_part_of_another_file_is_replaced(serve, tmp_path, size, part):
    (tmp_path / "file.part").write_bytes(part)

    def as_servers_do(handler, begin):
        beyond = begin >= len(CONTENT)
        (refuse(416) if beyond else answer())(handler, begin)

    assert obtain(wanted(tmp_path, size), [serve(as_servers_do).url]) == []
    assert files(tmp_path) == {"file": CONTENT}


def test_a_part_that_is_whole_needs_no_server(serve, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    server = serve(refuse(404))
    assert obtain(wanted(tmp_path, len(CONTENT)), [server.url]) == []
    assert server.asked == []


def test_a_range_that_was_not_asked_for_is_not_appended(serve, tmp_path):
    def other_range(handler, begin):
        answer(headers=[])(handler, max(0, begin - 7))

    server = serve(answer(sent=50_000), other_range, answer())
    assert obtain(wanted(tmp_path), [server.url]) == []
    assert files(tmp_path) == {"file": CONTENT}


def test_a_busy_server_is_asked_again(serve, tmp_path):
    server = serve(refuse(503), refuse(429), answer())
    assert obtain(wanted(tmp_path), [server.url]) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410, 301])
def test_a_refusal_is_reported_at_once(serve, tmp_path, status):
    server = serve(refuse(status))
    (reason,) = obtain(wanted(tmp_path), [server.url])
    assert f"HTTP status {status}" in reason
    assert len(server.asked) == 1


def test_redirections_in_a_circle_and_to_files_are_refused(serve, tmp_path):
    circle = serve(refuse(302, "/again"))
    (reason,) = obtain(wanted(tmp_path), [circle.url])
    assert "HTTP status 302" in reason
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    (reason,) = obtain(wanted(tmp_path / "cache"), [serve(refuse(302, secret.as_uri())).url])
    assert "HTTP status 302" in reason
    assert files(tmp_path / "cache") == {}


def test_a_slow_server_is_waited_for_unless_it_is_too_slow(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "WINDOW", 0.2)
    slow = serve(answer(CONTENT[:30_000], pause=0.02))
    one = wanted(tmp_path, content=CONTENT[:30_000])
    assert obtain(one, [slow.url]) == [], "50,000 bytes per second"
    too_slow = serve(answer(pause=0.5))
    monkeypatch.setattr(download, "SLOWEST", 10_000.0)
    monkeypatch.setattr(download, "TRIES", 2)
    (reason,) = obtain(wanted(tmp_path / "b"), [too_slow.url])
    assert "bytes per second" in reason
    assert too_slow.asked[0][1] == 0
    assert too_slow.asked[1][1] > 0, "what came is kept"


def test_a_server_that_says_nothing_is_given_up(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    silent = serve(lambda handler, begin: time.sleep(2))
    began = time.monotonic()
    (reason,) = obtain(wanted(tmp_path), [silent.url])
    assert "timed out" in reason.lower() or "Timeout" in reason
    assert time.monotonic() - began < 2


def test_a_damaged_file_is_replaced_or_reported(serve, tmp_path):
    (tmp_path / "file").write_bytes(OTHER)
    assert obtain(wanted(tmp_path), [serve(answer()).url]) == []
    assert files(tmp_path) == {"file": CONTENT}
    (tmp_path / "file").write_bytes(OTHER)
    damaged, refused = obtain(wanted(tmp_path), [serve(refuse(404)).url])
    assert "file in the cache was damaged (SHA-256 should be" in damaged
    assert "404" in refused
    assert files(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", bytes(500)], ids=["empty", "too large"])
def test_a_damaged_archive_in_the_cache_is_replaced(serve, tmp_path, monkeypatch, content):
    whole = archive()
    monkeypatch.setattr(cifar10, "MAX_ARCHIVE_BYTES", len(whole))
    (tmp_path / ARCHIVE).write_bytes(content * len(whole))
    md5 = hashlib.md5(whole).hexdigest()
    cifar10.download(tmp_path, (serve(answer(whole)).url,), md5, len(whole))
    assert files(tmp_path) == {ARCHIVE: whole}


def test_a_folder_in_the_way_is_named(serve, tmp_path):
    for name in ("file.part", "file"):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=rf"{name}.*(is a folder|in the way|not permitted)"):
            obtain(wanted(tmp_path), [serve(answer()).url])
        (tmp_path / name).rmdir()


def test_links_in_the_cache_are_not_followed_for_writing(serve, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "file.part").symlink_to(mine)
    with pytest.raises(InputError, match="is a link, not a regular file"):
        obtain(wanted(cache), [serve(answer()).url])
    (cache / "file.part").unlink()
    (cache / "file").symlink_to(mine)
    assert obtain(wanted(cache), [serve(answer()).url]) == []
    assert mine.read_bytes() == b"mine"
    assert not (cache / "file").is_symlink()


def test_a_full_disk_is_told(serve, tmp_path, monkeypatch):
    import sense.files

    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sense.files, "_write_all", full)
    with pytest.raises(FileError, match=r"cannot write .*file.part"):
        obtain(wanted(tmp_path), [serve(answer()).url])


def test_threads_that_download_at_once_ask_once(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "WAIT", 0.05)
    server = serve(answer(pause=0.002))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(obtain(wanted(tmp_path), [server.url])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[]] * 3
    assert len(server.asked) == 1
    assert files(tmp_path) == {"file": CONTENT}


# Real processes

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


def process(folder, url, content=CONTENT):
    code = [sys.executable, "-c", PROGRAM, str(folder), url, hashlib.sha256(content).hexdigest()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "NO_PROXY": "*"}
    return subprocess.Popen(code, env=environment, stderr=subprocess.PIPE, text=True)


def zipped():
    return gzip.compress(CONTENT, mtime=0)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_a_download_which_goes_on_later(serve, tmp_path, number):
    server = serve(answer(zipped(), pause=0.05), answer(zipped()))
    first = process(tmp_path, server.url)
    part = tmp_path / "file.gz.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 3000)
    sent = time.monotonic()
    first.send_signal(number)
    _, errors = first.communicate(timeout=60)
    assert time.monotonic() - sent < 5
    assert "Traceback" not in errors
    if number != signal.SIGKILL:
        assert first.returncode == 128 + number
        assert errors.endswith("sense.train: interrupted\n")
    have = part.stat().st_size
    assert 3000 < have < len(zipped())
    second = process(tmp_path, server.url)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert [begin for _, begin in server.asked] == [0, have]
    assert {name: data for name, data in files(tmp_path).items() if name != ".lock"} == {
        "file.gz": zipped()
    }


def test_two_processes_share_one_download(serve, tmp_path):
    server = serve(answer(zipped(), pause=0.005))
    both = [process(tmp_path, server.url) for _ in range(2)]
    ends = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], ends
    assert len(server.asked) == 1
    assert sum("waiting for a download" in text for text in ends) <= 1
    assert files(tmp_path) == {"file.gz": zipped()}


def test_a_download_waits_while_the_folder_is_locked(serve, tmp_path):
    lock = FolderLock(tmp_path)
    one = process(tmp_path, serve(answer(zipped())).url)
    line = one.stderr.readline()
    assert f"waiting for a download: {tmp_path} is in use by process {os.getpid()}" in line
    lock.release()
    one.communicate(timeout=60)
    assert one.returncode == 0


# The archive of CIFAR10


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
    assert server.asked == [
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
