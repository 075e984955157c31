"""A small HTTP server that answers each path as scripted, byte for byte, correctly or not.

A script maps paths to acts. An act gets the connection and the request, which was read completely; the connection is
closed when it returns. Other paths are answered with 404.
"""

from __future__ import annotations

import gzip
import struct
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.sockets import wait_until_read
from tests.servers.tcp import keep_silent, over_tls, reset, serve

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Act = Callable[[socket.socket, "Request"], None]

_CHUNK_BYTES = 65536


class Request(NamedTuple):
    """One request as it was received; names of headers in lower case, values of a repeated one joined by `, `."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    head: bytes


class HttpServer:
    """A running server.

    Attributes:
        port: Its port.
        requests: The requests it received, in order.
    """

    def __init__(self, host: str, port: int, *, secure: bool) -> None:
        self.port = port
        self.requests: list[Request] = []
        self._host = f"[{host}]" if ":" in host else host
        self._scheme = "https" if secure else "http"

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        """The URL of a path."""
        return f"{self._scheme}://{host or self._host}:{self.port}{path}"


@contextmanager
def run_http_server(
    script: Mapping[str, Act],
    host: str = "127.0.0.1",
    context: ssl.SSLContext | None = None,
    *,
    close_notify: bool = True,
) -> Iterator[HttpServer]:
    """Serve for the duration of the block; the script may be changed while it runs.

    Args:
        script: Acts by path, queries included.
        host: The address to listen on.
        context: If given, serves TLS with it.
        close_notify: Whether TLS is closed properly.
    """

    def behave(connection: socket.socket) -> None:
        request = _read_request(connection)
        if request is not None:
            running.requests.append(request)
            script.get(request.path, respond(404))(connection, request)

    with serve(behave if context is None else over_tls(context, behave, close_notify=close_notify), host) as listening:
        running = HttpServer(host, listening.port, secure=context is not None)
        yield running


def _read_request(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(_CHUNK_BYTES)
        if not received:
            return None
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(_CHUNK_BYTES)
    method, path, _ = start.split(" ")
    return Request(method, path, headers, body, head)


def raw(*pieces: bytes, pause_seconds: float = 0.0) -> Act:
    """Send bytes as they are, with a pause after each piece, and close."""

    def act(connection: socket.socket, _request: Request) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_seconds)

    return act


def respond(status: int = 200, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> Act:
    """Send a well-formed response."""
    lines = [
        f"HTTP/1.1 {status} Said",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return raw("\r\n".join((*lines, "", "")).encode() + body)


def redirect(location: str, status: int = 302, headers: Iterable[tuple[str, str]] = ()) -> Act:
    """Redirect to a location."""
    return respond(status, b"elsewhere", [("Location", location), *headers])


def echo_head(connection: socket.socket, request: Request) -> None:
    """Answer with the head of the request."""
    respond(200, request.head)(connection, request)


def hold(*pieces: bytes) -> Act:
    """Send bytes and leave the connection open, silent."""

    def act(connection: socket.socket, _request: Request) -> None:
        for piece in pieces:
            connection.sendall(piece)
        keep_silent(connection)

    return act


def drip(start: bytes, rest: bytes, interval_seconds: float = 0.1) -> Act:
    """Send the start at once and the rest one byte at a time."""
    return raw(start, *(rest[index : index + 1] for index in range(len(rest))), pause_seconds=interval_seconds)


def endless(start: bytes, repeated: bytes) -> Act:
    """Send the start, then repeat the same bytes until the peer is gone."""

    def act(connection: socket.socket, _request: Request) -> None:
        connection.sendall(start)
        block = repeated * (_CHUNK_BYTES // len(repeated) + 1)
        while True:
            connection.sendall(block)

    return act


def reset_after(start: bytes) -> Act:
    """Send the start, give the client time to read it, and reset the connection."""

    def act(connection: socket.socket, _request: Request) -> None:
        connection.sendall(start)
        time.sleep(0.05)
        wait_until_read(connection)
        reset(connection)

    return act


def encoded(coding: str, body: bytes) -> Act:
    """Answer with a body and a Content-Encoding."""
    return respond(200, body, [("Content-Encoding", coding)])


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """The bytes of a response in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + end


def answered(status: int, *fields: bytes) -> bytes:
    """The bytes of a response without a body; its fields as octets."""
    return b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n%s\r\n" % (status, b"".join(field + b"\r\n" for field in fields))


class Always(dict[str, "Act"]):
    """A script with one act for every path, those of a request to a proxy included.

    Attributes:
        answers: The bytes of responses in order; the last one is repeated.
    """

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def get(self, _path: str, _otherwise: object = None) -> Act:
        """The act."""
        return self._answer

    def _answer(self, connection: socket.socket, _request: Request) -> None:
        connection.sendall(self.answers[0] if len(self.answers) == 1 else self.answers.pop(0))


def gzip_bomb(decoded_bytes: int) -> bytes:
    """This many zeros as gzip, a thousandth of that in size."""
    block, blocks = bytes(1 << 20), decoded_bytes >> 20
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before, so that it repeats
    checksum = 0
    for _ in range(blocks):
        checksum = zlib.crc32(block, checksum)
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return header + part * blocks + deflate.flush() + struct.pack("<II", checksum, blocks << 20)


def gzipped(body: bytes) -> bytes:
    """A body as gzip."""
    return gzip.compress(body)
