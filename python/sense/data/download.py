"""Downloads of data sets: resumed where they broke off, and checked before they are used.

A file is written to NAME.part in its folder, and gets its name once its hash is right. A download
that broke off, or was stopped, is continued from there, also by another process.
"""

import http.client
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
from tqdm import tqdm

from .. import __version__
from ..errors import InputError, TakenError
from ..files import continued_file, file_size, make_folders, remove_file, rename_file
from ..folder_lock import FolderLock
from ..interrupts import interruptible

TIMEOUT = 30.0  # seconds, of the connection and of each read
CHUNK = 1 << 16  # bytes, at most, of a read
SLOWEST = 1000.0  # bytes per second; a slower server is taken to have broken off
WINDOW = 30.0  # seconds in which the speed is measured
ANSWER = 60.0  # seconds, at most, until a server has sent status and headers
LATE = "it did not send its headers in time"
TRIES = 4  # downloads in succession that bring less than PROGRESS
PROGRESS = 1 << 20  # bytes
PAUSE = 1.0  # seconds before another try
WAIT = 0.5  # seconds between two looks at a folder that another process downloads to
BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses of an error that may pass
OTHER_RANGE = 416  # the HTTP status if a file is shorter than what is there already


class DownloadFailed(Exception):  # noqa: N818  another source is tried
    """A source does not have the file; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """A file to download.

    Attributes
    ----------
    path
        Where it belongs.
    expected, kind, hash_of
        Its hash, what that is called, and the function that computes it for a path.
    limit
        The most bytes it may have.
    size
        Its bytes, if they are known. The length that a server gives is then not needed.
    """

    path: Path
    expected: str
    kind: str
    hash_of: Callable[[Path], str]
    limit: int
    size: int | None = None

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    def mismatch(self, path: Path) -> str | None:
        """Return a sentence if the file has another hash than expected, or cannot be read."""
        try:
            found = self.hash_of(path)
        except InputError:  # it is too large, or another process has just removed it
            found = "none, as it cannot be read"
        return None if found == self.expected else f"should be {self.expected}, is {found}"


def obtain(wanted: Wanted, sources: Sequence[str]) -> list[str]:
    """Download the file from the first of `sources` (URLs) that has it, unless it is there. Returns
    no reasons, or those why it could not be had. A file with another hash is removed.

    If another process downloads to the folder, this waits for it. A signal ends the download by
    KeyboardInterrupt, and what is there of the file is kept.
    """
    path, reasons = wanted.path, []
    if os.path.isfile(path) and wanted.mismatch(path) is None:
        return []
    make_folders(path.parent)
    with interruptible(), only_process_in(path.parent):
        if os.path.lexists(path):
            wrong = wanted.mismatch(path) if os.path.isfile(path) else "is not a file"
            if wrong is None:
                return []  # the other process has it
            remove_file(path)
            reasons.append(
                f"{path} in the cache was damaged ({wanted.kind} {wrong}), was removed, and could "
                "not be downloaded again"
            )
        for url in sources:
            try:
                download_file(url, wanted)
            except DownloadFailed as failed:
                reasons.append(f"{url}: {failed}")
            else:
                return []
    return reasons


@contextmanager
def only_process_in(folder: Path) -> Iterator[None]:
    """Lock the folder; wait while another process has it."""
    lock: FolderLock | None = None
    shown = False
    while lock is None:
        try:
            lock = FolderLock(folder)
        except TakenError as taken:
            if not shown:
                print(f"waiting for a download: {taken}", file=sys.stderr, flush=True)
            shown = True
            time.sleep(WAIT)
    try:
        yield
    finally:
        lock.release()


def download_file(url: str, wanted: Wanted) -> None:
    """Download a file. Raises DownloadFailed."""
    print(f"downloading {url} to {wanted.path.parent}", file=sys.stderr, flush=True)
    tries, problem = TRIES, "it ended too early"
    while tries:
        begun = file_size(wanted.part)
        if begun > (wanted.size or wanted.limit):
            begun = 0
        if begun != wanted.size:
            ended, problem = receive(url, wanted, begun)
        else:
            ended = False
        have = file_size(wanted.part)
        if have and wanted.size in (None, have):
            wrong = wanted.mismatch(wanted.part)
            if wrong is None:
                rename_file(wanted.part, wanted.path)
                return
            if ended or wanted.size is not None:
                problem = f"{wanted.kind} {wrong}"
                remove_file(wanted.part)
                if not begun:
                    raise DownloadFailed(problem)
        if have - begun < PROGRESS:
            tries -= 1
        if tries:
            time.sleep(PAUSE)
    raise DownloadFailed(problem)


def receive(url: str, wanted: Wanted, begun: int) -> tuple[bool, str]:
    """Append to the part, of which `begun` bytes are there, what the server sends. Returns whether
    the server sent all that it announced, and otherwise a sentence. Raises DownloadFailed if
    another try would not help."""
    headers = {"User-Agent": f"sense/{__version__}", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
    sockets: list[socket.socket] = []
    try:
        with _ended_after(ANSWER, sockets) as is_late:
            request = urllib.request.Request(url, headers=headers)
            response = _opener(sockets).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == OTHER_RANGE and begun:
            remove_file(wanted.part)
        status = f"HTTP status {error.code} {http.client.responses.get(error.code, '')}".strip()
        if error.code not in (OTHER_RANGE if begun else None, *BUSY):
            raise DownloadFailed(status) from None
        return False, status
    except urllib.error.URLError as error:
        raise DownloadFailed(f"{error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = LATE if is_late() else f"{type(error).__name__} {error}".strip()
        raise DownloadFailed(reason) from None
    with response:
        if is_late():  # headers that ended by the end of the connection
            raise DownloadFailed(LATE)
        start = 0
        if response.status == http.client.PARTIAL_CONTENT:
            sent = response.headers.get("Content-Range", "")
            start = begun if sent.replace("=", " ").startswith(f"bytes {begun}-") else -1
        if start < 0:
            remove_file(wanted.part)
            return False, "it sent another part of the file than requested"
        return store(response, wanted, start)


def store(response: Any, wanted: Wanted, start: int) -> tuple[bool, str]:
    """Write what the server sends to the part, after its first `start` bytes. Returns as
    `receive`."""
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() and len(length) < 19 else None
    if wanted.size is None and total is not None and total > wanted.limit:
        raise DownloadFailed(
            f"it has {total:,} bytes, where at most {wanted.limit:,} were expected"
        )
    ends = min(n for n in (wanted.size, total, wanted.limit + 1) if n is not None)
    have, window, before = start, time.monotonic(), start
    bar = tqdm(total=wanted.size or total, initial=start, unit="B", unit_scale=True, disable=None)
    with bar, continued_file(wanted.part, start) as write:
        while have < ends:
            try:
                data = response.read1(min(CHUNK, ends - have))
            except (OSError, http.client.HTTPException) as error:
                return False, f"it broke off after {have:,} bytes ({type(error).__name__})"
            if not data:
                break
            write(data)
            have += len(data)
            bar.update(len(data))
            passed = time.monotonic() - window
            if passed > WINDOW:
                if have - before < SLOWEST * passed:
                    return False, f"it sent {(have - before) / passed:.0f} bytes per second"
                window, before = time.monotonic(), have
    if have > wanted.limit:
        remove_file(wanted.part)
        raise DownloadFailed(f"it has more than {wanted.limit:,} bytes, which were expected")
    if have < ends <= wanted.limit:
        return False, f"it broke off after {have:,} of {ends:,} bytes"
    return True, f"it ended after {have:,} bytes"


@contextmanager
def _ended_after(seconds: float, sockets: list[socket.socket]) -> Iterator[Callable[[], bool]]:
    """Inside, end the connections after so many seconds: a timeout of a socket is one for each
    read, of which a server that sends byte by byte can need any number. Yields a function that
    returns whether that has happened."""
    late = threading.Event()

    def end() -> None:
        late.set()
        for connection in sockets:
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late.is_set
    finally:
        timer.cancel()


def _opener(sockets: list[socket.socket]) -> urllib.request.OpenerDirector:
    """Return what opens URLs, with the proxies of the environment, and with the certificates of the
    system and those of certifi, since not every Python finds the former. The sockets that it opens
    are added to `sockets`."""
    # Imported when it is needed: a process that R starts finds the libraries of the system's Python
    # first, and with those the ssl of another Python cannot be loaded.
    import ssl

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class Encrypted(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class EncryptedHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Encrypted, req, context=context)

    return urllib.request.build_opener(PlainHandler, EncryptedHandler)
