"""A server on this machine that breaks off, is slow, lies about length, sends other bytes or
redirects."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(1).bytes(200_000)
OTHER = np.random.default_rng(2).bytes(200_000)


class Server:
    """A server on the loopback interface. Each request takes the next of `answers`, the last one
    for ever: functions that take the handler and the first byte that was requested."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                wanted = self.headers.get("Range", "bytes=0-")
                begin = int(wanted.removeprefix("bytes=").rstrip("-"))
                outer.requests.append((self.path, begin))
                answer = outer.answers[min(len(outer.requests), len(outer.answers)) - 1]
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

    `length` is that in the header: "true", None for no header, or a number; `sent` the number of
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


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def drip_headers(pause):
    """Send one header after the other, for ever."""

    def reply(handler, begin):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(10_000):
            handler.wfile.write(b"X-%d: a\r\n" % i)
            time.sleep(pause)

    return reply
