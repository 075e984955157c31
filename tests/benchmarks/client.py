"""An HTTP client that costs little: fifty kept connections on one loop, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import zlib
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import httptools

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROMETHEUS_HEADERS = {
    "User-Agent": "Prometheus/2.42.0",
    "Accept": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
}
"""What Prometheus 2.42 sends with a scrape."""


class Answered(NamedTuple):
    """The bodies of a series of requests, in their order, and how long all of them took together."""

    bodies: list[str]
    wall_seconds: float


class _Connection(asyncio.Protocol):
    """One kept connection; one request at a time.

    Attributes:
        is_kept: Whether the server keeps it after the last answer.
    """

    def __init__(self) -> None:
        self.is_kept = True
        self._answer: asyncio.Future[bytes] | None = None
        self._body = bytearray()
        self._zipped = False
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def get(self, request: bytes) -> str:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined] # a stream's transport; uvloop's has no base of asyncio's
        return (await self._answer).decode()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed a kept connection"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-encoding":
            self._zipped = value == b"gzip"

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self._answer is not None
        if self._parser.get_status_code() != 200:
            self._answer.set_exception(
                ConnectionError(f"status {self._parser.get_status_code()}: {self._body[:500]!r}")
            )
            return
        body = zlib.decompress(self._body, wbits=31) if self._zipped else bytes(self._body)
        self.is_kept = self._parser.should_keep_alive()
        self._body, self._zipped = bytearray(), False
        self._parser = httptools.HttpResponseParser(self)
        self._answer.set_result(body)


async def get_all(port: int, paths: Iterable[str], *, concurrency: int, headers: Mapping[str, str]) -> Answered:
    """GET every path from 127.0.0.1, so many at a time, each worker on one connection after another.

    Raises:
        ConnectionError: When an answer is not 200 or a connection ends.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode() for path in paths]
    bodies = [""] * len(requests)
    waiting = iter(enumerate(requests))
    workers = min(concurrency, len(requests))
    connections = [await _connect(port) for _ in range(workers)]

    async def work(worker: int) -> None:
        for number, request in waiting:
            if not connections[worker].is_kept:  # nyxmon-exporter closes a connection that is ten seconds old
                connections[worker] = await _connect(port)
            bodies[number] = await connections[worker].get(request)

    started = perf_counter()
    try:
        await asyncio.gather(*map(work, range(workers)))
        return Answered(bodies, perf_counter() - started)
    finally:
        for connection in connections:
            connection.close()


async def _connect(port: int) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
    return connection
