"""HTTP/3 against correct servers, and against servers that break its rules, refuse, flood, and fall silent."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest
from aioquic.h3.connection import ErrorCode, FrameType
from aioquic.quic.packet import QuicErrorCode, QuicFrameType

from exporter.http.shared import HttpShared
from exporter.model import Reason
from tests.http.exchanging import ask
from tests.net.connecting import LOOP_NAMES, LOOPS
from tests.servers.certificates import Certificate, valid
from tests.servers.http3 import (
    Request,
    close,
    data,
    fields_frame,
    frame,
    goaway,
    head,
    open_stream,
    push,
    reset,
    run_http3_server,
    say,
    say_on_control_stream,
    stop,
    transmit,
)

if TYPE_CHECKING:
    from pathlib import Path

    import trustme
    from aioquic.quic.connection import QuicConnection

    from tests.servers.http3 import Connection, Step

ANSWER = head("200", [("content-length", "2")]) + data(b"hi")
UNKNOWN_FRAME = frame(0x21, b"greased")
TRAILERS = fields_frame([("x-checksum", "1")])
DYNAMIC = frame(FrameType.HEADERS, b"\x02\x00\x80")
"""A field section that refers to a dynamic table, which the client has not allowed (RFC 9204 section 4.5.1)."""


@pytest.fixture(scope="module")
def certificate(ca: trustme.CA) -> Certificate:
    return valid(ca, "127.0.0.1", "::1", "good.test")


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_a_request_and_its_answer(certificate: Certificate, ca_file: Path) -> None:
    """A server is asked over HTTP/3, and the response and its phases are measured."""
    shared = HttpShared()
    with run_http3_server(certificate, say(head("404", [("x", "y"), ("content-length", "2")]), data(b"hi"))) as server:
        outcome = await ask(server.url("/a?b"), ca_file, headers={"Connection": "close", "X-Own": "1"}, shared=shared)
    exchange, connection = outcome.exchange, outcome.exchange.connection
    assert outcome.answer == (None, 404, "3", b"hi")
    assert (exchange.header_values("x"), exchange.content_length, exchange.wire_body_bytes) == (("y",), 2, 2)
    assert min(connection.connect_seconds, connection.tls_seconds, exchange.processing_seconds) > 0
    assert exchange.transfer_seconds >= 0
    assert (shared.counts.opened, shared.counts.requests, shared.counts.reused) == (1, 1, 0)
    authority = {":authority": f"127.0.0.1:{server.port}", ":scheme": "https", ":method": "GET", ":path": "/a?b"}
    assert server.requests == [Request({**authority, "x-own": "1"}, b"")]


async def test_bodies_go_through_windows_both_ways(certificate: Certificate, ca_file: Path) -> None:
    """Bodies larger than any window are sent and received whole."""
    body = bytes(range(256)) * 6_000
    with run_http3_server(certificate, say(head(), data(body)), max_stream_data=100_000) as server:
        outcome = await ask(
            server.url(), ca_file, method="POST", content=body, body_limit_bytes=len(body), patience_seconds=30
        )
    assert (outcome.why, outcome.exchange.body == body, server.requests[0].body == body) == ("", True, True)


@pytest.mark.parametrize(
    "steps",
    [
        [say(ANSWER)],
        [say(head(), data(b"hi"))],
        [say(head(), end=False), say(data(b"h"), end=False), say(data(b"i"), end=False), say()],
        [say(head("103", [("link", "<x>")]), head("100"), ANSWER)],
        [say(UNKNOWN_FRAME, head(), UNKNOWN_FRAME, data(b""), data(b"hi"), UNKNOWN_FRAME)],
        [say(ANSWER, TRAILERS)],
        [say(head("200", [("content-encoding", "gzip")]), data(gzip.compress(b"hi")))],
        [say_on_control_stream(goaway(4)), say(ANSWER)],
        [say_on_control_stream(UNKNOWN_FRAME + goaway(4)[:2]), say_on_control_stream(goaway(4)[2:]), say(ANSWER)],
        [open_stream(0x21, b"greased"), say(ANSWER)],
        [say(ANSWER), transmit, close(ErrorCode.H3_NO_ERROR)],
        [stop(ErrorCode.H3_NO_ERROR), say(ANSWER)],
    ],
    ids=[
        "plain", "no length", "pieces", "early hints", "unknown frames", "trailers", "gzip", "last answer",
        "goaway in pieces", "unknown stream", "closed after", "rest unread",
    ],
)  # fmt: skip
async def test_an_answer_is_taken_however_it_comes(certificate: Certificate, ca_file: Path, steps: list[Step]) -> None:
    """All correct responses yield the same result."""
    with run_http3_server(certificate, *steps) as server:
        outcome = await ask(server.url(), ca_file)
    assert outcome.answer == (None, 200, "3", b"hi"), outcome.why


@pytest.mark.parametrize(
    ("steps", "oddities"),
    [
        ([say(head("200", [("x", " up ")]), data(b"hi"))], ("whitespace around the value of x",)),
        (
            [say(head("200", [("content-length", "2\t")]), data(b"hi"))],
            ("whitespace around the value of content-length",),
        ),
        ([say(head("103", [("link", " a")]), ANSWER)], ("whitespace around the value of link",)),
        ([say(ANSWER, fields_frame([("x", "a ")]))], ("whitespace around the value of x",)),
        ([say(ANSWER)], ()),
    ],
    ids=["both ends", "length", "early hints", "trailers", "none"],
)
async def test_blanks_around_values_are_taken_and_noted(
    certificate: Certificate, ca_file: Path, steps: list[Step], oddities: tuple[str, ...]
) -> None:
    """Blanks around values are removed, and the exchange mentions them."""
    with run_http3_server(certificate, *steps) as server:
        outcome = await ask(server.url(), ca_file)
    assert (outcome.answer, outcome.exchange.oddities) == ((None, 200, "3", b"hi"), oddities), outcome.why
    assert outcome.exchange.header_values("x") in ((), ("up",))


@pytest.mark.parametrize(
    ("method", "status", "sent"),
    [
        ("HEAD", "200", [say(head("200", [("content-encoding", "gzip"), ("content-length", "9")]))]),
        ("GET", "304", [say(head("304", [("content-length", "9")]))]),
        ("GET", "204", [say(head("204"))]),
        ("GET", "200", [say(head("200"))]),
        ("GET", "200", [say(head("200", [("content-length", "0")]), data(b""))]),
        ("HEAD", "200", [say(head("200", [("content-length", "9")]), end=False)]),
    ],
)
async def test_an_answer_without_body_is_complete(
    certificate: Certificate, ca_file: Path, method: str, status: str, sent: list[Step]
) -> None:
    """Without a body, an announced length does not matter, and the exchange does not wait for an end."""
    with run_http3_server(certificate, *sent) as server:
        outcome = await ask(server.url(), ca_file, method=method)
    assert outcome.answer == (None, int(status), "3", b""), outcome.why


async def test_the_body_of_a_redirect_is_left_unread(certificate: Certificate, ca_file: Path) -> None:
    """A redirect is complete with its head, however long its body is."""
    with run_http3_server(certificate, say(head("302", [("location", "/x")]), data(b"moved"), end=False)) as server:
        outcome = await ask(server.url(), ca_file, stop_at_redirect=True)
    assert outcome.answer == (None, 302, "3", b"")


def in_datagrams(connection: Connection) -> None:
    """Send empty datagrams as long as possible."""
    for uid in range(20):
        connection.quic.send_ping(uid)
        connection.transmit()
    asyncio.get_running_loop().call_later(0.002, in_datagrams, connection)


TRUNCATED = frame(FrameType.DATA, b"hello")[:-2]
FAILURES: dict[str, tuple[list[Step], str]] = {
    "reset": (
        [reset(ErrorCode.H3_REQUEST_REJECTED)],
        "connection_reset: the server reset the stream (H3_REQUEST_REJECTED)"),
    "unknown code": ([reset(0xABC)], "connection_reset: the server reset the stream (error code 0xabc)"),
    "fallback": (
        [reset(ErrorCode.H3_VERSION_FALLBACK)],
        "protocol: the server wants another version of HTTP for this; set http3: false"),
    "reset in body": (
        [say(head(), data(b"h"), end=False), reset(ErrorCode.H3_INTERNAL_ERROR)],
        "connection_reset: the server reset the stream (H3_INTERNAL_ERROR)"),
    "goaway": (
        [say_on_control_stream(goaway(0))],
        "protocol: the server ended the connection with GOAWAY instead of an answer"),
    "empty goaway": (
        [say_on_control_stream(frame(FrameType.GOAWAY, b""))],
        "protocol: the response breaks HTTP/3: a GOAWAY came that names no stream"),
    "long goaway": (
        [say_on_control_stream(frame(FrameType.GOAWAY, bytes(9)))],
        "protocol: the response breaks HTTP/3: a GOAWAY came that names no stream"),
    "closed": (
        [close(ErrorCode.H3_NO_ERROR, "bye")],
        "protocol: the server closed the connection while waiting for the response (H3_NO_ERROR): bye"),
    "closed in body": (
        [say(head(), data(b"h"), end=False), transmit, close(ErrorCode.H3_EXCESSIVE_LOAD)],
        "protocol: the server closed the connection while reading the body (H3_EXCESSIVE_LOAD)"),
    "closed by QUIC": (
        [close(QuicErrorCode.INTERNAL_ERROR, frame_type=QuicFrameType.PADDING)],
        "protocol: the server closed the connection while waiting for the response (INTERNAL_ERROR)"),
    "broken QUIC": (
        [lambda connection: connection.quic._retire_connection_ids.append(99)],
        "protocol: the server breaks QUIC (PROTOCOL_VIOLATION): Cannot retire unknown connection ID"),
    "no answer": ([say()], "protocol: the server ended the stream without a response"),
    "hints alone": (
        [say(head("103"))],
        "protocol: the response breaks HTTP/3 (H3_MESSAGE_ERROR): Interim response cannot end the stream"),
    "hints": ([say(head("103") * 11)], "protocol: more than 10 informational responses came"),
    "switched": (
        [say(head("101"))],
        "protocol: the response breaks HTTP/3 (H3_MESSAGE_ERROR): Pseudo-header b':status' cannot be 101"),
    "no status": (
        [say(fields_frame([("x", "y")]))],
        "protocol: the response breaks HTTP/3 (H3_MESSAGE_ERROR): Pseudo-headers [b':status'] are missing"),
    "odd status": (
        [say(head("2x0"))],
        "protocol: the response breaks HTTP/3 (H3_MESSAGE_ERROR): Pseudo-header b':status' has invalid value b'2x0'"),
    "status below 100": ([say(head("099"))], "protocol: the response has the status b'099', which does not exist"),
    "body first": (
        [say(data(b"hi"))],
        "protocol: the response breaks HTTP/3 (H3_FRAME_UNEXPECTED): DATA frame is not allowed in this state"),
    "short": (
        [say(head("200", [("content-length", "3")]), data(b"hi"))],
        "protocol: the response breaks HTTP/3 (H3_MESSAGE_ERROR): content-length does not match data size"),
    "truncated": (
        [say(head(), TRUNCATED)],
        "protocol: the response breaks HTTP/3 (H3_FRAME_ERROR): Frame is truncated by the end of the stream"),
    "settings twice": (
        [say_on_control_stream(frame(FrameType.SETTINGS, b""))],
        "protocol: the response breaks HTTP/3 (H3_FRAME_UNEXPECTED): SETTINGS have already been received"),
    "control closed": (
        [lambda connection: connection.quic.send_stream_data(3, b"", end_stream=True)],
        "protocol: the response breaks HTTP/3 (H3_CLOSED_CRITICAL_STREAM): Closing control stream is not allowed"),
    "pushed": (
        [push(b"\0" + head())],
        "protocol: the response breaks HTTP/3 (H3_ID_ERROR): Push ID exceeds the maximum push ID"),
    "opened": (
        [open_stream(0, head() + data(b"hi"), bidirectional=True)],
        "protocol: the response breaks HTTP/3: the server opened stream 1"),
    "dynamic table": ([say(DYNAMIC)], "protocol: the response breaks HTTP/3 (QPACK_DECOMPRESSION_FAILED)"),
    "large head": (
        [say(head("200", [("x", "v" * 3900)] * 20))],
        "protocol: the response's head is larger than 65536 bytes"),
    "many fields": (
        [say(head("200", [("age", "0")] * 2000))],
        "protocol: the response's head is larger than 65536 bytes"),
    "announced": (
        [say(head("200", [("content-length", "1048577")]))],
        "too_large: the body announced with 1048577 bytes, which is larger than 1048576 bytes"),
    "too large": ([say(head(), data(bytes(1048577)))], "too_large: the body is larger than 1048576 bytes"),
    "bomb": (
        [say(head("200", [("content-encoding", "gzip")]), data(gzip.compress(bytes(2_000_000))))],
        "too_large: the decoded body is larger than 1048576 bytes"),
    "coding": (
        [say(head("200", [("content-encoding", "gzip")]), data(b"no gzip"))],
        "decode: the body cannot be decoded as gzip: it is corrupt"),
    "half a coding": (
        [say(head("200", [("content-encoding", "gzip")]), data(gzip.compress(b"hi")[:-3]))],
        "decode: the body cannot be decoded as gzip: it ends too early"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_says_why(certificate: Certificate, ca_file: Path, name: str) -> None:
    """Each fault of a server has its own reason and text."""
    steps, why = FAILURES[name]
    with run_http3_server(certificate, *steps) as server:
        outcome = await ask(server.url(), ca_file)
    assert outcome.why == why


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (in_datagrams, "datagrams carry a body of 0 bytes"),
        (say(head(), frame(0x21, bytes(300_000))), "bytes of framing carry a body of 0 bytes"),
        (say_on_control_stream(frame(FrameType.SETTINGS + 0x21, bytes(300_000))), "bytes of framing carry a body of"),
    ],
    ids=["datagrams", "frames", "control stream"],
)
async def test_what_carries_nothing_does_not_go_on(
    certificate: Certificate, ca_file: Path, step: Step, what: str
) -> None:
    """A flood that reaches no limit on head or body ends the exchange."""
    with run_http3_server(certificate, step) as server:
        outcome = await ask(server.url(), ca_file, patience_seconds=30)
    assert outcome.why.startswith("protocol: ")
    assert outcome.why.split(" ", 2)[2].startswith(what)


@pytest.mark.parametrize(
    ("steps", "body"), [([], b""), ([say(end=False)], b""), ([say(head(), data(b"half"), end=False)], b"half")]
)
async def test_an_answer_that_does_not_end_is_waited_for(
    certificate: Certificate, ca_file: Path, steps: list[Step], body: bytes
) -> None:
    """Only the check's own limit ends it; the received part is kept."""
    with run_http3_server(certificate, *steps) as server:
        outcome = await ask(
            server.url(), ca_file, enough=lambda exchange: server.requests and exchange.wire_body_bytes == len(body)
        )
    assert (outcome.timed_out, outcome.exchange.body) == (True, body)
    assert outcome.attempt.timeout_reason is Reason.TIMEOUT


async def test_a_server_without_room_for_requests_is_waited_for(certificate: Certificate, ca_file: Path) -> None:
    """A limit of no streams may be raised later; the limit is logged."""
    with run_http3_server(certificate, say(ANSWER), adjust=admit_no_requests) as server:
        outcome = await ask(server.url(), ca_file, enough=lambda exchange: exchange.connection.ready_at)
    assert (outcome.timed_out, server.requests) == (True, [])
    assert outcome.attempt.log[-1].message == "the server accepts no requests: its limit of streams is 0"


def admit_no_requests(quic: QuicConnection) -> None:
    """Make a server allow no streams."""
    quic._local_max_streams_bidi.value = 0


async def test_an_answer_may_come_before_the_request_has_gone(certificate: Certificate, ca_file: Path) -> None:
    """A server may respond without having read the request."""
    with run_http3_server(
        certificate, stop(ErrorCode.H3_NO_ERROR), say(ANSWER), at_head=True, max_stream_data=1000
    ) as server:
        outcome = await ask(server.url(), ca_file, method="POST", content=bytes(100_000))
    assert outcome.answer == (None, 200, "3", b"hi")
    assert "the server stopped reading the request" in [line.message for line in outcome.attempt.log]
