"""Servers that are late by a known time in every phase of a check, and note how late each answer really was.

They run in processes of their own, which the system prefers to others where it may: what is measured is an exporter,
so its servers must not be what everything waits for. Each moment is taken from the clock right after something was
read, or right before it is sent; asyncio's own loop is used because it sends at once, and uvloop only when all that is
due has been done. What a server notes is therefore its part of a phase, its own lateness included.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import ssl
from contextlib import contextmanager, suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, cast

from tests.benchmarks.accuracy_line import LateLine, address_of, open_line
from tests.benchmarks.targets import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from multiprocessing.connection import Connection

    from tests.benchmarks.accuracy_line import Truth
    from tests.servers.nginx import CertificateFiles

RESOLVE_SECONDS, TLS_SECONDS, PROCESSING_SECONDS, TRANSFER_SECONDS = 0.02, 0.03, 0.05, 0.02
DOMAIN = "late.test"
"""Check number 17 is of c17.late.test, and of the path /17."""

_PAGE_PROCESSES = 2
_LINE_NICE, _SERVER_NICE = -10, -5
"""Added to what the exporters have."""

_RECEIVE_BUFFER_BYTES = 4 << 20
_BACKLOG = 4096


class _Late(asyncio.Protocol):
    """One connection: answers the ClientHello late, begins its response late, and ends it late."""

    def __init__(self, truth: Truth, context: ssl.SSLContext | None) -> None:
        self._truth = truth
        self._loop = asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True) if context else None
        self._hello_at = 0.0
        self._tls_seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if self._tls is None:
            self._hear(data, now)
            return
        self._incoming.write(data)
        if not self._hello_at:
            self._hello_at = now
            self._loop.call_later(TLS_SECONDS, self._answer_hello, self._tls)
        elif self._tls_seconds:
            with suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                self._hear(self._tls.read(), now)

    def _answer_hello(self, tls: ssl.SSLObject) -> None:
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        self._tls_seconds = perf_counter() - self._hello_at
        self._transport.write(self._outgoing.read())

    def _hear(self, request: bytes, arrived: float) -> None:
        number = int(request.split(b" ", 2)[1][1:])
        self._loop.call_later(PROCESSING_SECONDS, self._begin, number, arrived)

    def _begin(self, number: int, arrived: float) -> None:
        began = self._send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfirst")
        self._truth["processing", number] = began - arrived
        self._truth["tls", number] = self._tls_seconds
        self._loop.call_later(TRANSFER_SECONDS, self._end, number, began)

    def _end(self, number: int, began: float) -> None:
        self._truth["transfer", number] = self._send(b" last") - began
        self._transport.close()

    def _send(self, data: bytes) -> float:
        """Send something, and give when."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        now = perf_counter()
        self._transport.write(data)
        return now


class _LateNames(asyncio.DatagramProtocol):
    """A name server that knows an address for each check and gives it late."""

    def __init__(self, truth: Truth, *, over_line: bool) -> None:
        self._truth = truth
        self._over_line = over_line
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._loop.call_later(RESOLVE_SECONDS, self._answer, data, addr, perf_counter())

    def _answer(self, query: bytes, peer: tuple[str, int], arrived: float) -> None:
        question = query[12 : query.index(0, 12) + 5]
        number = int(question[2 : 1 + question[0]])
        address = address_of(number) if self._over_line else socket.inet_aton(HOSTS[number % len(HOSTS)])
        record = bytes.fromhex("c00c00010001000000000004") + address
        head = query[:2] + bytes.fromhex("81800001000100000000")
        self._truth["resolve", number] = perf_counter() - arrived
        self._transport.sendto(head + question + record, peer)


async def _serve_names(truth: Truth, *, over_line: bool) -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    listener.bind(("127.0.0.1", 53))
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _LateNames(truth, over_line=over_line), sock=listener
    )


async def _serve_line(truth: Truth) -> None:
    LateLine(open_line(), truth)


async def _serve_pages(truth: Truth, port: int, files: CertificateFiles | None) -> None:
    context = None
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert_file, files.key_file)
        context.num_tickets = 0  # nobody resumes; tickets would be answers of their own
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Late(truth, context), "0.0.0.0", port, backlog=_BACKLOG, reuse_port=True)


def _run(asked: Connection, serve: Callable[[Truth], Coroutine[None, None, None]], nice: int) -> None:
    async def run() -> None:
        truth: Truth = {}

        def tell() -> None:
            asked.recv()
            asked.send(truth)
            truth.clear()

        await serve(truth)
        asyncio.get_running_loop().add_reader(asked.fileno(), tell)
        await asyncio.Event().wait()

    with suppress(PermissionError):
        os.nice(nice)
    asyncio.run(run())


@contextmanager
def late_servers(port: int, files: CertificateFiles | None, *, over_line: bool) -> Iterator[Callable[[], Truth]]:
    """Run the name server, the web servers and, if wanted, the line for the length of the block.

    Args:
        port: Port of the web servers, on every address.
        files: Their certificate; without one they speak plain HTTP.
        over_line: Whether names lead to the web servers over the line instead of loopback.

    Yields:
        What gives the truth about all answers since it was last asked for.
    """
    pages = partial(_serve_pages, port=port, files=files)
    spawning = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    names = partial(_serve_names, over_line=over_line)
    for serve in (*[_serve_line] * over_line, names, *[pages] * _PAGE_PROCESSES):
        ours, its = spawning.Pipe()
        nice = _LINE_NICE if serve is _serve_line else _SERVER_NICE
        process = spawning.Process(target=_run, args=(its, serve, nice), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)

    def collect() -> Truth:
        truth: Truth = {}
        for pipe in pipes:
            pipe.send(None)
            truth |= pipe.recv()
        return truth

    try:
        collect()  # they answer when they are ready
        yield collect
    finally:
        for process in processes:
            process.terminate()
            process.join()
