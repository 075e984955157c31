"""Limits of the web server: silent, slow and greedy clients lose their connection, others are not affected."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.limits import ConnectionLimits
from tests.servers.exporter import run_exporter
from tests.servers.sockets import sockets_to
from tests.servers.tcp import keep_silent, serve
from tests.servers.web import run_web_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

LARGE = b"x" * 20_000_000
"""More than the buffers of both ends of a loopback connection hold."""


IMPATIENT = ConnectionLimits(request_seconds=0.3, response_seconds=0.3)
"""Short enough for a test."""


def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


def large(request: Request) -> Response:
    return Response(LARGE)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with short timeouts."""
    routes = [Route("/hello", hello, methods=["GET", "POST"]), Route("/large", large)]
    with run_web_server(Starlette(routes=routes), IMPATIENT) as running:
        yield running


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def receive(connection: socket.socket) -> bytes:
    """Return a response whose body is the greeting."""
    received = b""
    while not received.endswith(b"hello"):
        received += (piece := connection.recv(1024))
        assert piece, f"the connection ended after {received!r}"
    return received


def drip(connection: socket.socket, octet: bytes) -> None:
    for _ in range(600):
        connection.sendall(octet)
        time.sleep(0.05)


def wait_until_closed(connection: socket.socket) -> None:
    with suppress(ConnectionResetError):
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("sent", [b"", b"GET /hello HTTP/1.1\r\nHost: x\r\n", b"G"])
def test_a_client_that_sends_no_whole_request_is_dropped(url: str, sent: bytes) -> None:
    """Silence and half a request end the connection after the limit."""
    started = time.perf_counter()
    with connect(url) as connection:
        connection.sendall(sent)
        wait_until_closed(connection)
    assert time.perf_counter() - started > 0.295


def test_a_client_that_drips_is_dropped(url: str) -> None:
    """A byte now and then does not extend the limit."""
    with connect(url) as connection:
        started = time.perf_counter()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(connection, b"G")
        assert time.perf_counter() - started < 15


def test_a_second_request_has_its_own_limit(url: str) -> None:
    """On a connection kept alive, an incomplete second request ends it, too."""
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(url) as connection:
        connection.sendall(request)
        assert receive(connection).endswith(b"hello")
        time.sleep(0.5)
        connection.sendall(request)
        assert receive(connection).endswith(b"hello")
        started = time.perf_counter()
        connection.sendall(request[:10])
        wait_until_closed(connection)
        assert time.perf_counter() - started > 0.295


def test_a_client_that_does_not_wait_for_responses_is_rejected(url: str) -> None:
    """A few requests may wait for the responses before theirs; each costs time as soon as it arrives."""
    with connect(url) as connection:
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        received = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
    assert received.count(b"HTTP/1.1 400") == 1
    assert received.endswith(b"Invalid HTTP request received.")


def test_a_connection_has_a_maximum_age() -> None:
    """A connection has a maximum age; the next response announces its end."""
    ageing = ConnectionLimits(age_seconds=2.0)
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with run_web_server(Starlette(routes=[Route("/hello", hello)]), ageing) as url, connect(url) as connection:
        for pause, ends in ((0.0, False), (0.0, False), (2.1, True)):
            time.sleep(pause)
            connection.sendall(request)
            assert (b"\r\nconnection: close\r\n" in receive(connection).lower()) == ends
        assert connection.recv(1) == b""


def test_a_body_that_never_ends_is_not_waited_for(url: str) -> None:
    """The response comes at once, and the rest of the body is ignored."""
    with connect(url) as connection:
        connection.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx")
        assert receive(connection).endswith(b"hello")
        started = time.perf_counter()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(connection, b"x")
        assert time.perf_counter() - started < 15


def test_a_client_that_does_not_read_is_dropped(url: str) -> None:
    """The memory of a page is released if a client does not read it."""
    with connect(url) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1)
        wait_until(lambda: sockets_to(connection.getsockname()[1]) == 0)  # the server's end of it
        received = 1
        with suppress(ConnectionResetError):
            while data := connection.recv(1 << 20):
                received += len(data)
        assert received < len(LARGE)


def test_a_client_that_reads_gets_everything() -> None:
    """A large page arrives completely."""
    with run_web_server(Starlette(routes=[Route("/large", large)])) as url:
        assert httpx.get(f"{url}/large", trust_env=False, timeout=20).content == LARGE


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /hel\x00lo HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hello\r\n\r\n",
        b"GET /hello HTTP/3.0\r\nHost: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
)
def test_an_invalid_request_is_rejected(url: str, request_head: bytes) -> None:
    """Heads beyond the limit, TLS on the plain port and garbage are answered with 400, or the connection ends."""
    with connect(url) as connection:
        try:
            connection.sendall(request_head)
            answer = connection.recv(1024)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_other_clients_are_not_affected() -> None:
    """With two hundred incomplete requests open, a complete one is answered before they time out."""
    patient = ConnectionLimits(request_seconds=60.0)
    with run_web_server(Starlette(routes=[Route("/hello", hello)]), patient) as url, ExitStack() as crawling:
        for _ in range(200):
            crawling.enter_context(connection := connect(url))
            connection.sendall(b"GET /hello HTTP/1.1\r\n")
        assert httpx.get(f"{url}/hello", trust_env=False, timeout=20).text == "hello"


REQUEST = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


CROWDED = ConnectionLimits(request_seconds=60.0, arriving_seconds=0.5, connections=3, spare_connections=2)
"""Few places, and times that are long enough not to matter."""


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """The slow pages of `crowded` wait for it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def crowded(release: threading.Event) -> Iterator[str]:
    """A server with three places, two spare ones, and a page whose duration the test controls."""

    async def slow(request: Request) -> Response:
        while not release.is_set():  # noqa: ASYNC110 - the event is set by another thread
            await asyncio.sleep(0.01)
        return PlainTextResponse("hello")

    health_paths = frozenset(("/-/ready", "/in/-/healthy"))
    paths = ("/hello", "/-/healthy", *health_paths)
    routes = [Route("/slow", slow), *(Route(path, hello) for path in paths)]
    with run_web_server(Starlette(routes=routes), CROWDED, health_paths=health_paths) as running:
        yield running


def is_open(connection: socket.socket) -> bool:
    """Whether the server still has the connection; requests a page on it."""
    try:
        connection.sendall(REQUEST)
        return receive(connection).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def send_nothing(connection: socket.socket) -> None:
    pass


def send_half(connection: socket.socket) -> None:
    connection.sendall(REQUEST[:20])


def send_whole(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    receive(connection)


@pytest.mark.parametrize("make_idle", [send_nothing, send_half, send_whole])
def test_the_longest_idle_connection_makes_room(crowded: str, make_idle: Callable[[socket.socket], None]) -> None:
    """Silent, incomplete and kept-alive connections are closed, the oldest first; the others stay."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(crowded)) for _ in range(3)]
        for connection in connections:
            make_idle(connection)
            time.sleep(0.02)
        assert is_open(stack.enter_context(connect(crowded)))
        wait_until_closed(connections[0])
        if make_idle is not send_half:
            assert [is_open(connection) for connection in connections[1:]] == [True, True]


def test_a_request_that_is_arriving_is_not_closed_first(crowded: str) -> None:
    """The rest of a request may arrive a moment later; after that moment, the connection counts as idle."""
    with connect(crowded) as arriving, connect(crowded) as silent, connect(crowded) as later:
        send_half(arriving)
        assert is_open(later)
        with connect(crowded) as newcomer:
            assert is_open(newcomer)
            wait_until_closed(silent)
            arriving.sendall(REQUEST[20:])
            assert receive(arriving).startswith(b"HTTP/1.1 200 ")
            send_half(arriving)
            time.sleep(0.6)
            assert [is_open(later), is_open(newcomer)] == [True, True]
            with connect(crowded) as last:
                assert is_open(last)
                wait_until_closed(arriving)


def ask(url: str, path: str) -> bytes:
    """The first bytes of a response; empty if the connection was closed instead."""
    with connect(url) as connection, suppress(OSError):
        connection.sendall(REQUEST.replace(b"/hello", path.encode()))
        return connection.recv(12)
    return b""


def test_a_server_with_only_busy_connections_still_answers_health_requests(
    crowded: str, release: threading.Event
) -> None:
    """Beyond the limit, only health requests are served; others get 503, and idle connections there are closed."""
    with ExitStack() as stack:
        busy = [stack.enter_context(connect(crowded)) for _ in range(3)]
        for connection in busy:
            connection.sendall(REQUEST.replace(b"/hello", b"/slow"))
        time.sleep(0.1)
        silent = [stack.enter_context(connect(crowded)) for _ in range(5)]
        assert [ask(crowded, path) for path in ("/in/-/healthy", "/hello", "/-/ready", "/slow", "/-/healthy")] == [
            b"HTTP/1.1 200",
            b"HTTP/1.1 503",
            b"HTTP/1.1 200",
            b"HTTP/1.1 503",
            b"HTTP/1.1 503",
        ]
        wait_until_closed(silent[0])
        release.set()
        assert [receive(connection)[:12] for connection in busy] == [b"HTTP/1.1 200"] * 3
        assert ask(crowded, "/hello") == b"HTTP/1.1 200"


@pytest.mark.parametrize("sent", [b"", b"GET /-/ready HTTP/1.1\r\n"])
def test_hundreds_of_idle_connections_do_not_block_the_server(tmp_path: Path, sent: bytes) -> None:
    """Six hundred silent or incomplete connections do not keep other clients from a page."""
    with run_exporter(tmp_path) as exporter, ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(connection := connect(f"http://{exporter.address}"))
            connection.sendall(sent)
        assert [exporter.get(path)[0] for path in ("/-/ready", "/-/healthy", "/metrics", "/")] == [200] * 4


SMUGGLED = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"transfer-encoding: Chunked\r\ncontent-length: 5\r\n",
        b"Content-Length: 5\r\nX: y\r\nTransfer-Encoding:  chunked \r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
    ],
)
def test_a_request_of_uncertain_length_is_rejected(url: str, head: bytes) -> None:
    """A request that other parsers might read differently gets 400, and its connection ends."""
    with connect(url) as connection:
        connection.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + SMUGGLED)
        answer = connection.recv(1024)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nconnection: close\r\n" in answer.lower()
        wait_until_closed(connection)


def processor_seconds(pid: int) -> float:
    """The processor time of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_shortage_of_files_ends_by_itself(tmp_path: Path) -> None:
    """While checks use all descriptors, no client is accepted and nothing spins; afterwards, all clients are."""
    with serve(keep_silent) as silent, ExitStack() as stack:
        more = f"type: tcp, target: '{silent.target}', timeout: 4s, expect: [{{banner: hi}}]"
        config = "checks:\n" + "".join(f"- {{name: c{number}, {more}}}\n" for number in range(150))
        exporter = stack.enter_context(run_exporter(tmp_path, config, "--no-config.enable-auto-reload"))
        resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE, (90, 90))
        scrape = stack.enter_context(connect(f"http://{exporter.address}"))
        scrape.sendall(REQUEST.replace(b"/hello", b"/metrics"))
        wait_until(lambda: len(os.listdir(f"/proc/{exporter.process.pid}/fd")) == 90)  # noqa: PTH208 - the shortest way
        used = processor_seconds(exporter.process.pid)
        waiting = [stack.enter_context(connect(f"http://{exporter.address}")) for _ in range(30)]
        for connection in waiting:
            connection.sendall(REQUEST.replace(b"/hello", b"/-/ready"))
        wait_until(lambda: "connections cannot be accepted for now: Too many open files" in exporter.process.log())
        time.sleep(1)
        assert processor_seconds(exporter.process.pid) - used < 0.5
        assert [connection.recv(12) for connection in (scrape, *waiting)] == [b"HTTP/1.1 200"] * 31
        assert exporter.process.log().count("cannot be accepted") <= 5
