"""Servers that negotiate HTTP/2 and then send scripted frames, correct or not, whatever the request."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

from tests.servers.certificates import server_context, valid
from tests.servers.tcp import TcpServer, keep_silent, over_tls, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Sequence

    import trustme

_PATIENCE_SECONDS = 30.0
_PREFACE_BYTES = 24
_HEADERS, _END_HEADERS = 1, 0x4


def settings(**values: int) -> bytes:
    """A SETTINGS frame, settings by their names in hyperframe."""
    return frame(SettingsFrame(0, {getattr(SettingsFrame, name): value for name, value in values.items()}))


def frame(made: Frame) -> bytes:
    """A frame as it is sent."""
    return made.serialize()


def head(
    status: str = "200", fields: Iterable[tuple[str, str]] = (), *, flags: Iterable[str] = (), stream: int = 1
) -> bytes:
    """The HEADERS frame of a response; more follows unless the flags say otherwise."""
    block = Encoder().encode([(":status", status), *fields])
    return frame(HeadersFrame(stream, block, flags=["END_HEADERS", *flags]))


def trailers(fields: Iterable[tuple[str, str]], *, stream: int = 1) -> bytes:
    """The HEADERS frame that ends a response after its body."""
    return frame(HeadersFrame(stream, Encoder().encode(list(fields)), flags=["END_HEADERS", "END_STREAM"]))


def data(body: bytes = b"", *, end: bool = True, stream: int = 1) -> bytes:
    """A DATA frame."""
    return frame(DataFrame(stream, body, flags=["END_STREAM"] if end else []))


@contextmanager
def run_http2_server(ca: trustme.CA, *sent: bytes, closes: bool = False) -> Iterator[TcpServer]:
    """Serve for the duration of the block.

    Args:
        ca: Issues the certificate, which is for 127.0.0.1.
        sent: What is sent after a request's head has arrived.
        closes: Whether the connection is closed afterwards.
    """

    def behave(connection: socket.socket) -> None:
        next(_request_heads(connection))
        for piece in sent:
            connection.sendall(piece)
        if not closes:
            keep_silent(connection)

    context = server_context(valid(ca, "127.0.0.1"))
    context.set_alpn_protocols(["h2"])
    with serve(over_tls(context, behave)) as server:
        yield server


class Conversations(NamedTuple):
    """A running server that has a script for each connection.

    Attributes:
        server: The server.
        heard: Type and flags of every frame up to each request's head, per connection.
    """

    server: TcpServer
    heard: list[list[tuple[int, int]]]


@contextmanager
def run_http2_conversations(
    ca: trustme.CA, *scripts: Sequence[Sequence[bytes | threading.Event]]
) -> Iterator[Conversations]:
    """Serve for the duration of the block.

    Args:
        ca: Issues the certificate, which is for 127.0.0.1.
        scripts: For the n-th connection, what is sent for its requests in turn: frames, and events to wait for. A
            connection is closed when it gets more requests than its script has answers.
    """
    left = list(scripts)
    heard: list[list[tuple[int, int]]] = []

    def behave(connection: socket.socket) -> None:
        script = left.pop(0)
        frames: list[tuple[int, int]] = []
        heard.append(frames)
        for _, answer in zip(_request_heads(connection, frames), script, strict=False):
            for piece in answer:
                if isinstance(piece, threading.Event):
                    piece.wait(_PATIENCE_SECONDS)
                else:
                    connection.sendall(piece)

    context = server_context(valid(ca, "127.0.0.1"))
    context.set_alpn_protocols(["h2"])
    with serve(over_tls(context, behave)) as server:
        yield Conversations(server, heard)


def _request_heads(connection: socket.socket, heard: list[tuple[int, int]] | None = None) -> Iterator[None]:
    """Read up to the end of the next request's head, each time; record the frames on the way."""
    received = b""

    def take(size: int) -> bytes:
        nonlocal received
        while len(received) < size:
            more = connection.recv(65536)
            if not more:
                raise ConnectionError("the client ended the connection within its request")
            received += more
        taken, received = received[:size], received[size:]
        return taken

    take(_PREFACE_BYTES)
    while True:
        start = take(9)
        take(int.from_bytes(start[:3], "big"))
        if heard is not None:
            heard.append((start[3], start[4]))
        if start[3] == _HEADERS and start[4] & _END_HEADERS:
            yield
