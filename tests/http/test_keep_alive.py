"""Connections kept open between requests: reused if possible, dropped otherwise, and never a hindrance."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from exporter.attempt import current_attempt
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.pool import MAX_IDLE_PER_KEY, ConnectionPool
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.settings import NetworkSettings, TlsConfig
from tests.http.http_shapes import ODD
from tests.net.connecting import LOOP_NAMES, LOOPS
from tests.servers.nginx import TLS_SERVER
from tests.servers.sockets import sockets_to
from tests.servers.tcp import serve
from tests.waiting import until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles, Nginx
    from tests.servers.tcp import TcpServer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

TWO_REQUESTS = """
server {
    listen {port};
    keepalive_requests 2;
    location / { return 200 "hello\\n"; }
}
"""


@contextmanager
def answering(*scripts: list[bytes]) -> Iterator[TcpServer]:
    """A server whose n-th connection answers its requests with the n-th script's entries in order, then closes."""
    left = list(scripts)

    def behave(connection: socket.socket) -> None:
        for answer in left.pop(0):
            if not connection.recv(65536):
                return
            connection.sendall(answer)

    with serve(behave) as server:
        yield server


async def ask(
    shared: HttpShared, url: str, *, method: str = "GET", tls: TlsConfig | None = None, **settings: Any
) -> Exchange:
    """Make one exchange that keeps its connection."""
    options = RequestOptions(network=NetworkSettings(**settings), tls=tls or TlsConfig(), keep_alive=True)
    exchange = Exchange(current_attempt(), secure=url.startswith("https"))
    await ProbeTransport(shared).exchange(wire_request(httpx.Request(method, url), options), exchange)
    return exchange


def counted(shared: HttpShared) -> tuple[int, int]:
    """Connections opened, and requests over those opened earlier."""
    return shared.counts.opened, shared.counts.reused


@pytest.mark.parametrize("anyio_backend", LOOPS, ids=LOOP_NAMES)
async def test_the_next_batch_uses_the_connection_again(start_nginx: Callable[..., Nginx]) -> None:
    """Connections outlive the batch; a request over an old one has its facts and no phases of connecting."""
    nginx, root = start_nginx(), HttpShared()
    first = await ask(root.for_batch(), nginx.url())
    batch = root.for_batch()
    second = await ask(batch, nginx.url())
    facts = second.connection
    assert (second.status, second.body, counted(batch)) == (200, b"hello\n", (0, 1))
    assert (facts.address, facts.ip_addr_hash) == (first.connection.address, first.connection.ip_addr_hash)
    assert (facts.resolve_seconds, facts.connect_seconds, facts.tls_seconds) == (0.0, 0.0, 0.0)
    assert second.processing_seconds > 0


async def test_a_reused_tls_connection_reports_its_handshake(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """The facts of the first handshake are reported again, as there is no second one."""
    nginx, shared, tls = start_nginx(TLS_SERVER, certificate=certificate), HttpShared(), TlsConfig(ca_file=str(ca_file))
    first, second = [await ask(shared, nginx.tls_url(), tls=tls) for _ in range(2)]
    assert counted(shared) == (1, 1)
    assert second.connection.tls is first.connection.tls is not None
    assert (first.connection.tls_seconds > 0, second.connection.tls_seconds) == (True, 0.0)


@pytest.mark.parametrize(
    "other",
    [{"ip_protocol": "ip4"}, {"source_ip": "127.0.0.2"}, {"connect_to": "127.0.0.1"}, {"connect_timeout": "9s"}],
    ids=lambda other: next(iter(other)),
)
async def test_only_the_same_connection_is_the_same(start_nginx: Callable[..., Nginx], other: dict[str, Any]) -> None:
    """A request with any other connection setting gets its own connection."""
    nginx, shared = start_nginx(), HttpShared()
    await ask(shared, nginx.url())
    await ask(shared, nginx.url(), **other)
    assert counted(shared) == (2, 0)


async def test_a_connection_carries_one_request_at_a_time(start_nginx: Callable[..., Nginx]) -> None:
    """Concurrent requests have separate connections, of which only a limited number are kept."""
    nginx, shared = start_nginx(), HttpShared()
    await ask(shared, nginx.url())
    await asyncio.gather(*[ask(shared, nginx.url()) for _ in range(5)])
    await until(lambda: sockets_to(nginx.port) == MAX_IDLE_PER_KEY)
    assert counted(shared) == (5, 1)


async def test_a_connection_that_its_server_closed_is_noticed() -> None:
    """When the server's timeout ends the connection, it is dropped, and the next request has a fresh one."""
    patience_ends = threading.Event()

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(ANSWER)
        patience_ends.wait(30)

    with serve(behave) as server:
        shared = HttpShared()
        await ask(shared, f"http://{server.target}/")
        assert sockets_to(server.port) == 1
        patience_ends.set()
        await until(lambda: sockets_to(server.port) == 0)
        await ask(shared, f"http://{server.target}/")
    assert counted(shared) == (2, 0)


async def test_a_server_may_end_a_connection_with_its_answer(start_nginx: Callable[..., Nginx]) -> None:
    """Connection: close, which nginx sends after two requests, is respected."""
    nginx, shared = start_nginx(TWO_REQUESTS), HttpShared()
    for _ in range(4):
        await ask(shared, nginx.url())
    assert counted(shared) == (2, 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        ANSWER + b"HTTP/1.1 200 OK\r\n",
        ANSWER + ANSWER,
        ANSWER + b"rubbish",
        b"HTTP/1.1 204 No Content\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nrubbish",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
    ids=[
        "until its end", "HTTP 1.0", "close", "half an answer", "two answers", "rubbish", "body of none",
        "rubbish after chunks", "chunks and close", "no body and close",
    ],
)  # fmt: skip
async def test_only_a_clean_connection_is_kept(answer: bytes) -> None:
    """A connection that ends with its response, or has further data on it, carries no other request."""
    with answering([answer], [ANSWER]) as server:
        shared = HttpShared()
        await ask(shared, f"http://{server.target}/")
        second = await ask(shared, f"http://{server.target}/")
    assert (second.body, counted(shared)) == (b"hi", (2, 0))


@pytest.mark.parametrize("name", ODD)
async def test_a_connection_that_carried_something_odd_is_not_kept(name: str) -> None:
    """No other response follows data that could be read in two ways, because it might be part of it."""
    with answering([ODD[name][0]], [ANSWER]) as server:
        shared = HttpShared()
        await ask(shared, f"http://{server.target}/")
        second = await ask(shared, f"http://{server.target}/")
    assert (second.body, counted(shared)) == (b"hi", (2, 0))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2 \r\nX:  y\t\r\n\r\nhi",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ],
    ids=["chunks", "extensions and trailers", "blanks", "early hints"],
)
async def test_a_well_formed_answer_leaves_its_connection_usable(answer: bytes) -> None:
    """However a response marks its end, the next one may follow it."""
    with answering([answer, ANSWER]) as server:
        shared = HttpShared()
        first, second = [await ask(shared, f"http://{server.target}/") for _ in range(2)]
    assert (first.body, second.body, counted(shared)) == (b"hi", b"hi", (1, 1))


async def test_a_request_whose_old_connection_breaks_is_made_anew() -> None:
    """If a server closes just before the request, it is sent again over a fresh connection."""
    with answering([ANSWER, b""], [ANSWER]) as server:
        shared = HttpShared()
        await ask(shared, f"http://{server.target}/")
        second = await ask(shared, f"http://{server.target}/")
    assert (second.body, second.connection.connect_seconds > 0) == (b"hi", True)
    assert (shared.counts.requests, *counted(shared)) == (3, 2, 1)


async def test_what_may_not_be_repeated_has_a_fresh_connection(start_nginx: Callable[..., Nginx]) -> None:
    """A POST is never sent over a connection that its server may be closing."""
    nginx, shared = start_nginx(), HttpShared()
    await ask(shared, nginx.url())
    assert (await ask(shared, nginx.url(), method="POST")).status == 200
    assert counted(shared) == (2, 0)


@pytest.mark.parametrize("options", [options for _, options in LOOPS], ids=LOOP_NAMES)
def test_connections_end_with_their_loop(start_nginx: Callable[..., Nginx], options: dict[str, bool]) -> None:
    """A loop closes its connections at its end, and the next loop makes its own."""
    nginx, shared = start_nginx(), HttpShared()
    for _ in range(2):
        anyio.run(ask, shared, nginx.url(), backend_options=options)
        assert sockets_to(nginx.port) == 0
    assert counted(shared) == (2, 0)


async def test_idle_connections_do_not_stay_for_ever(start_nginx: Callable[..., Nginx]) -> None:
    """A connection that has been idle for some time is closed; one in use is not."""
    nginx, shared = start_nginx(), HttpShared(pool=ConnectionPool(max_idle_seconds=1.0))
    await ask(shared, nginx.url())
    await ask(shared, nginx.url(), source_ip="127.0.0.2")
    while sockets_to(nginx.port) == 2:
        await asyncio.sleep(0.05)
        await ask(shared, nginx.url(), source_ip="127.0.0.2")
    opened, reused = counted(shared)
    assert (opened, reused > 1, sockets_to(nginx.port)) == (2, True, 1)
    await until(lambda: sockets_to(nginx.port) == 0)


async def test_of_too_many_idle_connections_the_oldest_goes(start_nginx: Callable[..., Nginx]) -> None:
    """The number of idle connections is bounded overall, and those used last are kept."""
    nginx, shared = start_nginx(), HttpShared(pool=ConnectionPool(max_idle=2))
    for last in (1, 2, 3, 3, 2, 1):
        await ask(shared, nginx.url(), source_ip=f"127.0.0.{last}")
    assert counted(shared) == (4, 2)
