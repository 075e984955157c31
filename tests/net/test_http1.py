"""HTTP/1.1 against servers that answer well, badly, endlessly, late, and not at all."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net import Network
from exporter.net.http_client import ProbeTransport, wire_request
from exporter.net.http_message import Exchange, RequestOptions
from exporter.settings import NetworkSettings, TlsConfig
from tests.alone import alone
from tests.servers.http import chunked, drip, endless, hold, raw, reset_after, respond, run_http_server
from tests.servers.tcp import close, keep_silent, reset_when_spoken_to, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.http import Act

OK = b"HTTP/1.1 200 OK\r\n"
SHORT = b"Content-Length: 2\r\n\r\nhi"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


async def exchange_with(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, limit_bytes: int = 1 << 20,
    stop_at_redirect: bool = False,
) -> tuple[Exchange, CheckFailed | None]:  # fmt: skip
    """Make one exchange; give it, and how it failed."""
    options = RequestOptions(
        network=NetworkSettings(), tls=TlsConfig(), body_limit_bytes=limit_bytes, stop_at_redirect=stop_at_redirect
    )
    exchange = Exchange(secure=False)
    request = httpx.Request(method, url, headers=headers)
    try:
        await ProbeTransport(Network()).exchange(wire_request(request, options), exchange)
    except CheckFailed as failure:
        return exchange, failure
    return exchange, None


async def answer_to(act: Act, **options: object) -> tuple[Exchange, CheckFailed | None]:
    """Make one exchange with a server that acts so."""
    with run_http_server({"/": act}) as server:
        return await exchange_with(server.url(), **options)  # type: ignore[arg-type]  # options as exchange_with has them


MALFORMED: dict[str, bytes] = {
    "two Content-Lengths that agree": OK + b"Content-Length: 2\r\n" + SHORT,
    "two Content-Lengths that differ": OK + b"Content-Length: 3\r\n" + SHORT,
    "a list as Content-Length": OK + b"Content-Length: 2, 2\r\n\r\nhi",
    "a negative Content-Length": OK + b"Content-Length: -2\r\n\r\nhi",
    "a signed Content-Length": OK + b"Content-Length: +2\r\n\r\nhi",
    "an empty Content-Length": OK + b"Content-Length: \r\n\r\nhi",
    "a hexadecimal Content-Length": OK + b"Content-Length: 0x2\r\n\r\nhi",
    "a Content-Length beyond 64 bits": OK + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
    "a Content-Length with a space in it": OK + b"Content-Length: 1 1\r\n\r\nhi",
    "a Content-Length before a transfer coding": OK
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "a Content-Length after a transfer coding": OK
    + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "a Content-Length among the trailers": chunked(b"hi", end=b"0\r\nContent-Length: 2\r\n\r\n"),
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nhi",
    "a folded header": OK + b"X: a\r\n b\r\n" + SHORT,
    "a folded transfer coding": OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "a first header that begins with a tab": OK + b"\tX: a\r\n" + SHORT,
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "one bare line feed": OK + b"X: a\n" + SHORT,
    "a bare carriage return": OK + b"X: a\r" + SHORT,
    "a NUL in a value": OK + b"X: a\x00b\r\n" + SHORT,
    "a NUL in a name": OK + b"X\x00: a\r\n" + SHORT,
    "a control character in a value": OK + b"X: a\x01b\r\n" + SHORT,
    "a header without a name": OK + b": a\r\n" + SHORT,
    "a header without a colon": OK + b"X\r\n" + SHORT,
    "a version that does not exist": b"HTTP/1.2 200 OK\r\n" + SHORT,
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 OK\r\n" + SHORT,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + SHORT,
    "a negative status": b"HTTP/1.1 -01 OK\r\n" + SHORT,
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n" + SHORT,
    "a negative chunk": CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nhi\r\n0\r\n\r\n",
    "a chunk in another notation": CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\nhiX\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"2\nhi\n0\n\n",
    "a space after the size of a chunk": CHUNKED + b"2 \r\nhi\r\n0\r\n\r\n",
    "a line feed within a chunk's extension": CHUNKED + b"2;a\n\r\nhi\r\n0\r\n\r\n",
    "a body after an informational response": b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc" + OK + SHORT,
    "an informational response that closes": b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK + SHORT,
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "gzip as transfer coding": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "the transfer coding 'gzip, chunked' is not chunked",
    ),
    "chunked not as the last coding": (
        OK + b"Transfer-Encoding: chunked, gzip\r\n\r\nhi",
        "the transfer coding 'chunked, gzip' is not chunked",
    ),
    "chunked twice": (
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "the transfer coding 'chunked, chunked' is not chunked",
    ),
    "a disguise of chunked": (
        OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "the transfer coding 'xchunked' is not chunked",
    ),
    "chunks in HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "an HTTP/1.0 response is chunked, which only HTTP/1.1 knows",
    ),
    "the status 000": (
        b"HTTP/1.1 000 OK\r\n" + SHORT,
        "the response has the status 000, which does not exist",
    ),
    "an unasked switch of protocols": (
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x00",
        "the server switched protocols without having been asked to",
    ),
    "another protocol": (
        b"SSH-2.0-OpenSSH_9.2\r\n",
        "the response does not begin with HTTP/1.1 but with b'SSH-2.0-OpenSSH_9.2\\r\\n'",
    ),
    "a relative of HTTP": (
        b"RTSP/1.0 200 OK\r\n\r\n",
        "the response does not begin with HTTP/1.1 but with b'RTSP/1.0 200 OK\\r\\n\\r\\n'",
    ),
    "HTTP/0.9": (b"<p>hello", "the response does not begin with HTTP/1.1 but with b'<p>hello'"),
    "HTTP/2 in a status line": (
        b"HTTP/2.0 200 OK\r\n\r\n",
        "the response does not begin with HTTP/1.1 but with b'HTTP/2.0 200 OK\\r\\n\\r\\n'",
    ),
    "an absurd status line": (
        "HTTP/9.9 999 é\r\n\r\n".encode("latin-1"),
        "the response does not begin with HTTP/1.1 but with b'HTTP/9.9 999 \\xe9\\r\\n\\r\\n'",
    ),
    "an empty line first": (
        b"\r\nHTTP/1.1 200 OK\r\n",
        "the response does not begin with HTTP/1.1 but with b'\\r\\nHTTP/1.1 200 OK\\r\\n'",
    ),
    "an end before the body's": (
        OK + b"Content-Length: 10\r\n\r\nhi",
        "the server closed the connection after 2 of 10 bytes of the body, before its end",
    ),
    "an end before the last chunk": (
        chunked(b"hi", end=b""),
        "the server closed the connection after 2 bytes of the body, before its end",
    ),
    "an end within the head": (OK + b"X: a", "the server closed the connection within the response's head"),
    "an end after an informational response": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        "the server closed the connection within the response's head",
    ),
}

UNUSUAL: dict[str, tuple[bytes, tuple[int, str, bytes]]] = {
    "a status beyond 599": (b"HTTP/1.1 999 Denied\r\n" + SHORT, (999, "1.1", b"hi")),
    "no reason phrase": (b"HTTP/1.1 200\r\n" + SHORT, (200, "1.1", b"hi")),
    "a reason phrase of any bytes": (b"HTTP/1.1 200 \xe9\x00\xff\r\n" + SHORT, (200, "1.1", b"hi")),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\n" + SHORT, (200, "1.0", b"hi")),
    "a body until the end": (OK + b"\r\nhello", (200, "1.1", b"hello")),
    "an empty body until the end": (OK + b"\r\n", (200, "1.1", b"")),
    "chunks with extensions and trailers": (
        CHUNKED + b"2;a=b\r\nhi\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
        (200, "1.1", b"hi!"),
    ),
    "more than was announced": (OK + SHORT + b"HTTP/1.1 500 No\r\n\r\n", (200, "1.1", b"hi")),
    "more than was announced, at the end of a connection": (
        OK + b"Connection: close\r\n" + SHORT + b"junk",
        (200, "1.1", b"hi"),
    ),
    "informational responses first": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK + SHORT,
        (200, "1.1", b"hi"),
    ),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", (204, "1.1", b"")),
    "304 with the length of what was not sent": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        (304, "1.1", b""),
    ),
    "an offer to switch protocols": (
        OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + SHORT,
        (200, "1.1", b"hi"),
    ),
    "an identity as content coding": (OK + b"Content-Encoding: identity\r\n" + SHORT, (200, "1.1", b"hi")),
}


def pieces_of(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_responses_are_protocol_failures(name: str) -> None:
    """What the parser cannot read in one way only fails the check as `protocol`, and says that it is malformed."""
    _, failure = await answer_to(raw(MALFORMED[name]))
    assert failure is not None
    assert (failure.reason, failure.detail.partition(":")[0]) == (Reason.PROTOCOL, "the response is malformed")


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_parser_lets_pass_is_refused(name: str) -> None:
    """What can be read but not trusted fails the check as `protocol`, and says why."""
    sent, detail = REFUSED[name]
    _, failure = await answer_to(raw(sent))
    assert failure is not None
    assert (failure.reason, failure.detail) == (Reason.PROTOCOL, detail)


@pytest.mark.parametrize("name", UNUSUAL)
async def test_unusual_responses_are_understood(name: str) -> None:
    """What is unusual but clear is taken as it is meant."""
    sent, expected = UNUSUAL[name]
    exchange, failure = await answer_to(raw(sent))
    assert (failure, exchange.status, exchange.http_version, exchange.body) == (None, *expected)


@pytest.mark.parametrize("name", [*MALFORMED, *REFUSED, *UNUSUAL])
async def test_pieces_make_no_difference(name: str) -> None:
    """A response that comes byte by byte has the result of the same response that comes at once."""
    sent = MALFORMED.get(name) or {**REFUSED, **UNUSUAL}[name][0]
    at_once, failure_at_once = await answer_to(raw(sent))
    in_pieces, failure_in_pieces = await answer_to(raw(*pieces_of(sent)))
    reasons = [failure and failure.reason for failure in (failure_at_once, failure_in_pieces)]
    assert reasons[0] == reasons[1]
    assert (in_pieces.status, in_pieces.body) == (at_once.status, at_once.body)


async def test_an_exchange_keeps_what_was_said_and_when() -> None:
    """Headers are kept in order and found by any spelling, and the phases follow each other."""
    act = respond(200, b"hello", [("X-One", "a"), ("x-one", "b"), ("X-Name", "Jürgen")])
    exchange, failure = await answer_to(act)
    assert failure is None
    assert exchange.header_values("X-ONE") == ("a", "b")
    assert exchange.header_values("x-name") == ("Jürgen",)
    assert (exchange.content_length, exchange.wire_body_bytes) == (5, 5)
    assert 0 < exchange.connection.ready_at <= exchange.first_byte_at <= exchange.ended_at
    assert exchange.processing_seconds == exchange.first_byte_at - exchange.connection.ready_at
    assert exchange.transfer_seconds == exchange.ended_at - exchange.first_byte_at


async def test_headers_in_an_older_charset_are_read() -> None:
    """A header that is no UTF-8 is read as ISO 8859-1."""
    exchange, _ = await answer_to(raw(OK + b"X: caf\xe9\r\n" + SHORT))
    assert exchange.header_values("x") == ("café",)


async def test_a_head_request_has_no_body() -> None:
    """The answer to HEAD ends with its head, whatever length it announces and whatever follows."""
    exchange, failure = await answer_to(hold(OK + b"Content-Length: 99999999\r\n\r\nbody"), method="HEAD")
    assert (failure, exchange.status, exchange.content_length, exchange.body) == (None, 200, 99999999, b"")


async def test_a_switch_of_protocols_that_was_asked_for_is_an_answer() -> None:
    """101 ends the exchange when the request offered to upgrade, and what follows is not looked at."""
    act = hold(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00")
    exchange, failure = await answer_to(act, headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (failure, exchange.status, exchange.body) == (None, 101, b"")


async def test_the_body_of_a_redirect_is_left_unread() -> None:
    """A redirect that is to be followed ends with its head, so that an endless body behind it costs nothing."""
    act = endless(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", b"x")
    exchange, failure = await answer_to(act, stop_at_redirect=True)
    assert (failure, exchange.status, exchange.header_values("location")) == (None, 302, ("/there",))


@pytest.mark.parametrize(
    ("act", "reason", "detail"),
    [
        (
            endless(b"HTTP/1.1 200 OK\r\n", b"X-n: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
            Reason.PROTOCOL,
            "the response's head is larger than 65536 bytes",
        ),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"), Reason.PROTOCOL, "the response's head is larger than 65536 bytes"),
        (
            endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            Reason.PROTOCOL,
            "more than 10 informational responses came",
        ),
        (endless(CHUNKED, b"400\r\n" + bytes(1024) + b"\r\n"), Reason.TOO_LARGE, "the body is larger than 10000 bytes"),
        (endless(OK + b"\r\n", b"\0"), Reason.TOO_LARGE, "the body is larger than 10000 bytes"),
        (
            hold(OK + b"Content-Length: 10737418240\r\n\r\n"),
            Reason.TOO_LARGE,
            "the body announced with 10737418240 bytes, which is larger than 10000 bytes",
        ),
    ],
)
async def test_what_never_ends_is_cut_off(act: Act, reason: Reason, detail: str) -> None:
    """Heads and bodies beyond their limits fail the check at once, and an announced one before it is read."""
    started = time.perf_counter()
    _, failure = await answer_to(act, limit_bytes=10_000)
    assert failure is not None
    assert (failure.reason, failure.detail) == (reason, detail)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("repeated", [b";" + b"a" * 1000, b"a" * 1000])
@pytest.mark.parametrize("start", [CHUNKED + b"2;a=b", CHUNKED + b"0\r\nX: "])
async def test_endless_framing_is_cut_off(start: bytes, repeated: bytes) -> None:
    """Chunk extensions and trailers without end are refused, although no byte of body comes with them."""
    _, failure = await answer_to(endless(start, repeated))
    assert failure is not None
    assert failure.reason is Reason.PROTOCOL


async def test_a_body_in_the_smallest_chunks_is_read() -> None:
    """Framing that is five times the body is what some servers send, and is no reason to refuse it."""
    exchange, failure = await answer_to(raw(chunked(*[b"x"] * 50_000)))
    assert (failure, exchange.body) == (None, b"x" * 50_000)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """The limit is the largest body that is taken."""
    exchange, failure = await answer_to(respond(200, bytes(1000)), limit_bytes=1000)
    assert (failure, len(exchange.body)) == (None, 1000)


def test_an_endless_body_costs_little_memory() -> None:
    """Taking in an endless body up to its limit needs a small multiple of the limit."""
    with run_http_server({"/": endless(CHUNKED, b"4000\r\n" + bytes(16384) + b"\r\n")}) as server:
        assert alone(memory_taken_bytes, server.url(), 16 << 20) < 64 << 20


def memory_taken_bytes(url: str, limit_bytes: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, failure = asyncio.run(exchange_with(url, limit_bytes=limit_bytes))
    assert failure is not None
    assert failure.reason is Reason.TOO_LARGE
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


async def test_a_server_that_closes_without_a_word() -> None:
    """A connection that ends before the first byte of an answer is a failure of the protocol."""
    with serve(close) as server:
        _, failure = await exchange_with(f"http://{server.target}/")
    assert failure is not None
    assert failure.reason in (Reason.PROTOCOL, Reason.CONNECTION_RESET)  # reset, when the request came after the end
    with run_http_server({"/": raw()}) as http_server:
        _, failure = await exchange_with(http_server.url())
    assert failure is not None
    assert (failure.reason, failure.detail) == (
        Reason.PROTOCOL,
        "the server closed the connection without a response",
    )


async def test_a_reset_is_told_from_an_end() -> None:
    """A reset is `connection_reset`, before the answer and within it, and what came before is kept."""
    with serve(reset_when_spoken_to) as server:
        _, failure = await exchange_with(f"http://{server.target}/")
    assert failure is not None
    assert failure.reason is Reason.CONNECTION_RESET
    exchange, failure = await answer_to(reset_after(OK + b"Content-Length: 1000\r\n\r\n0123456789"))
    assert failure is not None
    assert (failure.reason, exchange.status, exchange.body) == (Reason.CONNECTION_RESET, 200, b"0123456789")
    assert exchange.ended_at == 0


async def test_a_reset_after_the_answer_is_nobodys_business() -> None:
    """An answer that was complete counts, even when the connection breaks behind it."""
    exchange, failure = await answer_to(reset_after(OK + SHORT))
    assert (failure, exchange.body) == (None, b"hi")


async def test_a_large_request_may_be_answered_before_it_was_read() -> None:
    """An early answer counts, and the connection does not wait for the rest of the request to be taken."""
    answered = threading.Event()

    def refuse(connection: object) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]
        answered.wait(30)

    options = RequestOptions(network=NetworkSettings(), tls=TlsConfig())
    with serve(refuse) as server:
        exchange = Exchange(secure=False)
        request = httpx.Request("POST", f"http://{server.target}/", content=bytes(16 << 20))
        await asyncio.wait_for(ProbeTransport(Network()).exchange(wire_request(request, options), exchange), 10)
        answered.set()
    assert exchange.status == 413


@pytest.mark.parametrize(
    "act",
    [
        drip(b"", OK + b"X: " + b"y" * 500),
        drip(OK + b"Content-Length: 500\r\n\r\n", b"z" * 500),
        lambda connection, _request: keep_silent(connection),
    ],
)
async def test_cancellation_closes_the_socket_at_once(act: Act) -> None:
    """A cancelled exchange takes no further time, and the server sees its connection end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watched(connection: object, request: object) -> None:
        try:
            act(connection, request)  # type: ignore[arg-type]
            keep_silent(connection)  # type: ignore[arg-type]
        finally:
            loop.call_soon_threadsafe(ended.set)

    with run_http_server({"/": watched}) as server:
        started = time.perf_counter()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange_with(server.url()), 0.3)
        await asyncio.wait_for(ended.wait(), 10)
        assert time.perf_counter() - started < 10  # the servers go on for half a minute
