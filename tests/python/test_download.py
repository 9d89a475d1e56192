"""Downloads from a server on this machine that breaks off, is slow, lies about length, sends other
bytes or redirects; and what is in their folder before."""

import hashlib
import threading
import time

import pytest

from sense.data import download
from sense.data.download import Wanted, obtain
from sense.errors import FileError, InputError
from servers import CONTENT, OTHER, answer, drip_headers, files, refuse


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wanted(folder, size=None, limit=1_000_000, content=CONTENT):
    expected = hashlib.sha256(content).hexdigest()
    return Wanted(folder / "file", expected, "SHA-256", sha256, limit, size)


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
    assert len(server.requests) == 1, "once only"


@pytest.mark.parametrize("known", [True, False], ids=["known size", "unknown size"])
def test_a_download_that_breaks_off_is_resumed(serve, tmp_path, known):
    server = serve(answer(sent=50_000), answer(sent=1), answer(sent=70_000), answer())
    assert obtain(wanted(tmp_path, len(CONTENT) if known else None), [server.url]) == []
    assert [begin for _, begin in server.requests] == [0, 50_000, 50_001, 120_001]
    assert files(tmp_path) == {"file": CONTENT}


def test_it_is_resumed_by_a_later_call_and_from_another_source(serve, tmp_path):
    broken = serve(answer(sent=60_000), refuse(404))
    (reason,) = obtain(wanted(tmp_path), [broken.url])
    assert reason == f"{broken.url}: HTTP status 404 Not Found", "not the words of the server"
    assert files(tmp_path) == {"file.part": CONTENT[:60_000]}
    whole = serve(answer())
    assert obtain(wanted(tmp_path), [broken.url, whole.url]) == []
    assert [begin for _, begin in whole.requests] == [60_000]


def test_a_server_that_never_gets_further_is_given_up(serve, tmp_path):
    server = serve(answer(sent=0))
    (reason,) = obtain(wanted(tmp_path), [server.url])
    assert "broke off after 0 of 200,000 bytes" in reason
    assert len(server.requests) == download.TRIES


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
    assert len(forged.requests) == 1, "another try would not help"
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
    assert server.requests == []


def test_a_range_that_was_not_requested_is_not_appended(serve, tmp_path):
    def other_range(handler, begin):
        answer(headers=[])(handler, max(0, begin - 7))

    server = serve(answer(sent=50_000), other_range, answer())
    assert obtain(wanted(tmp_path), [server.url]) == []
    assert files(tmp_path) == {"file": CONTENT}


def test_a_busy_server_gets_another_request(serve, tmp_path):
    server = serve(refuse(503), refuse(429), answer())
    assert obtain(wanted(tmp_path), [server.url]) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410, 301])
def test_a_refusal_is_reported_at_once(serve, tmp_path, status):
    server = serve(refuse(status))
    (reason,) = obtain(wanted(tmp_path), [server.url])
    assert f"HTTP status {status}" in reason
    assert len(server.requests) == 1


def test_redirections_in_a_circle_and_to_files_are_refused(serve, tmp_path):
    circle = serve(refuse(302, "/again"))
    (reason,) = obtain(wanted(tmp_path), [circle.url])
    assert "HTTP status 302" in reason
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    (reason,) = obtain(wanted(tmp_path / "cache"), [serve(refuse(302, secret.as_uri())).url])
    assert "HTTP status 302" in reason
    assert files(tmp_path / "cache") == {}


def test_a_server_whose_headers_never_end_is_left(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ANSWER", 0.3)
    dripping, whole = serve(drip_headers(0.02)), serve(answer())
    one = wanted(tmp_path / "a")
    begun = time.monotonic()
    assert obtain(one, [dripping.url, whole.url]) == []
    assert time.monotonic() - begun < 10
    (reason,) = obtain(wanted(tmp_path / "b"), [dripping.url])
    assert reason == f"{dripping.url}: it did not send its headers in time"


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
    assert too_slow.requests[0][1] == 0
    assert too_slow.requests[1][1] > 0, "what came is kept"


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


def test_a_full_disk_is_reported(serve, tmp_path, monkeypatch):
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
    assert len(server.requests) == 1
    assert files(tmp_path) == {"file": CONTENT}
