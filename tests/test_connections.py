"""The web server's bounds: silent, slow, talkative and greedy clients lose their connection, others notice nothing."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.connections import BoundedProtocol
from tests.servers.process import answers_http
from tests.servers.sockets import sockets_to
from tests.servers.web import run_web_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

LARGE = b"x" * 20_000_000
"""More than the buffers of both ends of a loopback connection hold."""


class Impatient(BoundedProtocol):
    """Has limits that a test can wait for."""

    request_limit_seconds = 0.3
    response_limit_seconds = 0.3


def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


def large(request: Request) -> Response:
    return Response(LARGE)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that loses its patience soon."""
    routes = [Route("/hello", hello, methods=["GET", "POST"]), Route("/large", large)]
    with run_web_server(Starlette(routes=routes), Impatient) as running:
        yield running


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def receive(connection: socket.socket) -> bytes:
    """Give an answer whose body is the greeting."""
    received = b""
    while not received.endswith(b"hello"):
        received += connection.recv(1024)
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
    """A byte now and then does not win more time."""
    with connect(url) as connection:
        started = time.perf_counter()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(connection, b"G")
        assert time.perf_counter() - started < 15


def test_a_second_request_has_its_own_limit(url: str) -> None:
    """On a connection kept alive, the half of a further request ends it too."""
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


def test_a_connection_does_not_grow_old() -> None:
    """It is kept until it has reached its age; the next answer says that it ends, and then it does."""

    class Ageing(BoundedProtocol):
        age_limit_seconds = 2.0

    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with run_web_server(Starlette(routes=[Route("/hello", hello)]), Ageing) as url, connect(url) as connection:
        for pause, ends in ((0.0, False), (0.0, False), (2.1, True)):
            time.sleep(pause)
            connection.sendall(request)
            assert (b"\r\nconnection: close\r\n" in receive(connection).lower()) == ends
        assert connection.recv(1) == b""


def test_a_body_that_never_ends_is_not_waited_for(url: str) -> None:
    """The answer comes at once, and the rest of the body is nobody's concern."""
    with connect(url) as connection:
        connection.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx")
        assert receive(connection).endswith(b"hello")
        started = time.perf_counter()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(connection, b"x")
        assert time.perf_counter() - started < 15


def test_a_client_that_does_not_read_is_dropped(url: str) -> None:
    """The memory of a page is not held for a client that does not take it."""
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
    """A large page arrives whole."""
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
    ],
)
def test_a_request_that_is_none_is_refused(url: str, request_head: bytes) -> None:
    """Heads beyond the limit, TLS on the plain port and garbage are answered 400, or the connection ends."""
    with connect(url) as connection:
        try:
            connection.sendall(request_head)
            answer = connection.recv(1024)
        except ConnectionResetError:
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_others_do_not_notice() -> None:
    """With two hundred half-sent requests under way, a whole one is answered before they are given up."""

    class Patient(BoundedProtocol):
        request_limit_seconds = 60.0

    with run_web_server(Starlette(routes=[Route("/hello", hello)]), Patient) as url, ExitStack() as crawling:
        for _ in range(200):
            crawling.enter_context(connection := connect(url))
            connection.sendall(b"GET /hello HTTP/1.1\r\n")
        assert httpx.get(f"{url}/hello", trust_env=False, timeout=20).text == "hello"


def test_connections_beyond_the_limit_are_hung_up_on() -> None:
    """The process's files are not all spent on clients; when one leaves, the next is served."""

    class Crowded(BoundedProtocol):
        max_connections = 3

    with run_web_server(Starlette(routes=[Route("/hello", hello)]), Crowded) as url:
        first, *others = [connect(url) for _ in range(3)]
        with connect(url) as refused, suppress(ConnectionResetError):
            assert refused.recv(1) == b""
        first.close()
        wait_until(lambda: answers_http(int(url.rpartition(":")[2]), "/hello"))
        for connection in others:
            connection.close()
