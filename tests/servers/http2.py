"""A server that agrees on HTTP/2 and then sends the frames of its script, well or badly, whatever it is asked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

from tests.servers.certificates import server_context, valid
from tests.servers.tcp import TcpServer, keep_silent, over_tls, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

    import trustme

_PREFACE_BYTES = 24
_HEADERS, _END_HEADERS = 1, 0x4


def settings(**values: int) -> bytes:
    """A SETTINGS frame, settings by their names in hyperframe."""
    return frame(SettingsFrame(0, {getattr(SettingsFrame, name): value for name, value in values.items()}))


def frame(made: Frame) -> bytes:
    """A frame as it is sent."""
    return made.serialize()


def head(status: str = "200", fields: Iterable[tuple[str, str]] = (), *, flags: Iterable[str] = ()) -> bytes:
    """The HEADERS frame of an answer on stream 1; more follows unless the flags say otherwise."""
    block = Encoder().encode([(":status", status), *fields])
    return frame(HeadersFrame(1, block, flags=["END_HEADERS", *flags]))


def data(body: bytes = b"", *, end: bool = True) -> bytes:
    """A DATA frame on stream 1."""
    return frame(DataFrame(1, body, flags=["END_STREAM"] if end else []))


@contextmanager
def run_http2_server(ca: trustme.CA, *sent: bytes, closes: bool = False) -> Iterator[TcpServer]:
    """Serve for the length of the block.

    Args:
        ca: Issues the certificate, which is for 127.0.0.1.
        sent: What is sent when a request's head has come.
        closes: Whether the connection is closed then.
    """

    def behave(connection: socket.socket) -> None:
        _read_request_head(connection)
        for piece in sent:
            connection.sendall(piece)
        if not closes:
            keep_silent(connection)

    context = server_context(valid(ca, "127.0.0.1"))
    context.set_alpn_protocols(["h2"])
    with serve(over_tls(context, behave)) as server:
        yield server


def _read_request_head(connection: socket.socket) -> None:
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
        if start[3] == _HEADERS and start[4] & _END_HEADERS:
            return
