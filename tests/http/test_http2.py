"""HTTP/2 with nginx, and against servers that break its rules, refuse, flood, and fall silent."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from exporter.attempt import begin_attempt, current_attempt
from exporter.errors import CheckFailed
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.settings import NetworkSettings, TlsConfig
from tests.http.http_shapes import HTTP2_MALFORMED, HTTP2_ODD
from tests.servers.http2 import data, frame, head, run_http2_server, settings
from tests.servers.nginx import TLS_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import trustme

    from tests.servers.nginx import CertificateFiles, Nginx

HTTP2_SERVER = TLS_SERVER.replace("ssl backlog", "ssl http2 backlog")
ANSWER = head("200", [("content-length", "2")]) + data(b"hi")
PING = frame(PingFrame(0, b"12345678"))


async def ask(
    url: str, ca_file: Path, *, method: str = "GET", content: bytes = b"", headers: Mapping[str, str] | None = None,
    shared: HttpShared | None = None, patience_seconds: float | None = None, **options: Any,
) -> tuple[Exchange, CheckFailed | None]:  # fmt: skip
    """Make one exchange; return it with its failure."""
    made = RequestOptions(network=NetworkSettings(), tls=TlsConfig(ca_file=str(ca_file)), **options)
    request = wire_request(httpx.Request(method, url, content=content or None, headers=headers), made)
    exchange = Exchange(current_attempt(), secure=True)
    try:
        async with asyncio.timeout(patience_seconds):
            await ProbeTransport(shared or HttpShared()).exchange(request, exchange)
    except CheckFailed as failure:
        return exchange, failure
    return exchange, None


@pytest.mark.parametrize("name", HTTP2_ODD)
async def test_odd_responses_are_taken_and_noted(ca: trustme.CA, ca_file: Path, name: str) -> None:
    """Blanks around values are removed, and the exchange mentions them."""
    sent, oddities = HTTP2_ODD[name]
    with run_http2_server(ca, settings(), sent) as server:
        exchange, failure = await ask(f"https://{server.target}/", ca_file)
    assert (failure, exchange.status, exchange.body, exchange.oddities) == (None, 200, b"hi", oddities)
    assert [value for _, value in exchange.headers] == [value.strip(b" \t") for _, value in exchange.headers]


@pytest.mark.parametrize("name", HTTP2_MALFORMED)
async def test_malformed_responses_are_protocol_failures(ca: trustme.CA, ca_file: Path, name: str) -> None:
    """What other clients reject as well fails the check as `protocol`."""
    with run_http2_server(ca, settings(), HTTP2_MALFORMED[name]) as server:
        _, failure = await ask(f"https://{server.target}/", ca_file)
    assert failure is not None
    assert (failure.reason, failure.detail.isprintable()) == (Reason.PROTOCOL, True)


async def test_nginx_is_asked_over_http2(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """If a server offers HTTP/2, it is used, and the response and its phases are measured."""
    nginx = start_nginx(HTTP2_SERVER, certificate=certificate)
    exchange, failure = await ask(nginx.tls_url(), ca_file)
    assert (failure, exchange.status, exchange.http_version, exchange.body) == (None, 200, "2", b"hello\n")
    assert (exchange.header_values("content-type"), exchange.content_length) == (("text/plain",), 6)
    assert min(exchange.connection.tls_seconds, exchange.processing_seconds, exchange.transfer_seconds) > 0
    assert exchange.oddities == ()


@pytest.mark.parametrize(
    ("options", "headers"), [({"http2": False}, {}), ({}, {"Connection": "Upgrade", "Upgrade": "websocket"})]
)
async def test_http_1_1_can_be_asked_for(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path,
    options: dict[str, Any], headers: dict[str, str],
) -> None:  # fmt: skip
    """HTTP/2 is not offered if it is disabled, nor with a request that offers to switch protocols."""
    nginx = start_nginx(HTTP2_SERVER, certificate=certificate)
    exchange, failure = await ask(nginx.tls_url(), ca_file, headers=headers, **options)
    assert (failure, exchange.status, exchange.http_version) == (None, 200, "1.1")


async def test_bodies_go_through_windows_both_ways(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path, tmp_path: Path
) -> None:
    """Bodies larger than any window are sent and received whole."""
    body = bytes(range(256)) * 20_000
    tmp_path.joinpath("big").write_bytes(body)
    files = f"client_max_body_size 9m; location /big {{ root {tmp_path}; }} location /"
    nginx = start_nginx(HTTP2_SERVER.replace("location /", files), certificate=certificate)
    got, failure = await ask(nginx.tls_url("/big"), ca_file, body_limit_bytes=len(body))
    assert (failure, got.body == body) == (None, True)
    sent, failure = await ask(nginx.tls_url("/"), ca_file, method="POST", content=body)
    assert (failure, sent.status) == (None, 200)


@pytest.mark.parametrize(
    "sent",
    [
        settings() + ANSWER,
        settings() + frame(GoAwayFrame(0, last_stream_id=1)) + ANSWER,
        settings() + PING * 20 + ANSWER,
        settings() + head("103", [("link", "<x>")]) + ANSWER,
        settings() + head("200") + data(b"h", end=False) + data(b"i"),
        settings() + head("200", [("content-encoding", "gzip")]) + data(gzip.compress(b"hi")),
        settings() + ANSWER + frame(RstStreamFrame(1)),
    ],
    ids=["plain", "last answer", "pings", "early hints", "no length", "gzip", "reset after"],
)
async def test_an_answer_is_taken_however_it_comes(ca: trustme.CA, ca_file: Path, sent: bytes) -> None:
    """All correct responses yield the same result."""
    with run_http2_server(ca, sent) as server:
        exchange, failure = await ask(f"https://{server.target}/", ca_file)
    assert (failure, exchange.status, exchange.body) == (None, 200, b"hi")


async def test_an_answer_without_body_is_complete(ca: trustme.CA, ca_file: Path) -> None:
    """A response that ends with its head has an empty body, whatever its coding is."""
    sent = head("200", [("content-encoding", "gzip"), ("content-length", "9")], flags=["END_STREAM"])
    with run_http2_server(ca, settings() + sent) as server:
        exchange, failure = await ask(f"https://{server.target}/", ca_file, method="HEAD")
    assert (failure, exchange.status, exchange.body) == (None, 200, b"")


FAILURES: dict[str, tuple[bytes, Reason, str]] = {
    "goaway": (frame(GoAwayFrame(0, 0, 11)), Reason.PROTOCOL, "GOAWAY (ENHANCE_YOUR_CALM)"),
    "goaway before us": (frame(GoAwayFrame(0, 0, 0)), Reason.PROTOCOL, "GOAWAY (NO_ERROR)"),
    "refused": (frame(RstStreamFrame(1, 7)), Reason.CONNECTION_RESET, "reset the stream (REFUSED_STREAM)"),
    "unknown code": (frame(RstStreamFrame(1, 0xABC)), Reason.CONNECTION_RESET, "(error code 0xabc)"),
    "wants 1.1": (frame(RstStreamFrame(1, 13)), Reason.PROTOCOL, "set http2: false"),
    "reset in body": (
        head() + data(b"h", end=False) + frame(RstStreamFrame(1, 2)), Reason.CONNECTION_RESET, "INTERNAL_ERROR"),
    "continuations": (
        frame(HeadersFrame(1, b"")) + frame(ContinuationFrame(1, b"")) * 1000, Reason.PROTOCOL, "continuation"),
    "pings": (PING * 100_000, Reason.PROTOCOL, "frames"),
    "bytes": (head() + data(b"x", end=False) * 100_000, Reason.PROTOCOL, "frames"),
    "large head": (head("200", [("x", "v" * 3900)] * 20), Reason.PROTOCOL, "header list"),
    "large frame": (b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", Reason.PROTOCOL, "a frame of 16385 bytes"),
    "http 1": (b"HTTP/1.1 200 OK\r\n\r\n", Reason.PROTOCOL, "answers in HTTP/1"),
    "rubbish": (b"rubbish" * 9, Reason.PROTOCOL, "a frame of"),
    "no status": (frame(HeadersFrame(1, b"", flags=["END_HEADERS"])), Reason.PROTOCOL, "breaks HTTP/2"),
    "odd status": (head("2x0"), Reason.PROTOCOL, "status b'2x0'"),
    "short": (head("200", [("content-length", "3")]) + data(b"hi"), Reason.PROTOCOL, "breaks HTTP/2"),
    "announced": (head("200", [("content-length", "1048577")]), Reason.TOO_LARGE, "announced with 1048577 bytes"),
    "too large": (head() + data(bytes(16384), end=False) * 65, Reason.TOO_LARGE, "is larger than 1048576 bytes"),
    "push": (frame(PushPromiseFrame(1, 2, flags=["END_HEADERS"])), Reason.PROTOCOL, "breaks HTTP/2"),
    "window": (frame(WindowUpdateFrame(0, 0x7FFFFFFF)), Reason.PROTOCOL, "breaks HTTP/2"),
    "hints": (head("103") * 11, Reason.PROTOCOL, "more than 10 informational"),
    "coding": (head("200", [("content-encoding", "gzip")]) + data(b"no gzip"), Reason.DECODE, "gzip"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_says_why(ca: trustme.CA, ca_file: Path, name: str) -> None:
    """Each fault of a server has its own reason and text."""
    sent, reason, text = FAILURES[name]
    with run_http2_server(ca, (b"" if "HTTP/" in str(sent[:9]) else settings()) + sent) as server:
        _, failure = await ask(f"https://{server.target}/", ca_file, patience_seconds=30.0)
    assert failure is not None
    assert (failure.reason, text in failure.detail) == (reason, True), failure.detail


@pytest.mark.parametrize(
    "field", [("set-cookie", "a=\0CANARY"), ("set-cookie", "CANARY\n"), ("CANARY", "a"), ("content-length", "CANARY")]
)
async def test_a_failure_quotes_no_field(ca: trustme.CA, ca_file: Path, field: tuple[str, str]) -> None:
    """A library's error is passed on without the field that it quotes, which may be a cookie."""
    with run_http2_server(ca, settings() + head("200", [field], flags=["END_STREAM"])) as server:
        _, failure = await ask(f"https://{server.target}/", ca_file, patience_seconds=30.0)
    assert failure is None or ("CANARY" not in failure.detail and failure.detail.isprintable())


@pytest.mark.parametrize(
    ("sent", "text"),
    [(b"", "without a response"), (head() + data(b"hi", end=False), "after 2 bytes of the body, before its end")],
)
async def test_an_end_before_the_end_of_the_answer_is_reported(
    ca: trustme.CA, ca_file: Path, sent: bytes, text: str
) -> None:
    """If a connection ends too early, the detail says how far the response had come."""
    with run_http2_server(ca, settings(), sent, closes=True) as server:
        _, failure = await ask(f"https://{server.target}/", ca_file)
    assert failure is not None
    assert (failure.reason, text in failure.detail) == (Reason.PROTOCOL, True), failure.detail


async def test_a_server_without_room_for_requests_is_waited_for(ca: trustme.CA, ca_file: Path) -> None:
    """A limit of no streams is for new ones only, so the response may still arrive; the limit is logged."""
    attempt = begin_attempt()
    with run_http2_server(ca, settings(MAX_CONCURRENT_STREAMS=0)) as server, pytest.raises(TimeoutError):
        await ask(f"https://{server.target}/", ca_file, patience_seconds=1.5)
    assert "the server accepts no requests" in attempt.log[-1].message
    assert attempt.timeout_reason is Reason.TIMEOUT


async def test_a_window_that_never_opens_is_waited_for(ca: trustme.CA, ca_file: Path) -> None:
    """A body waits until the server allows it, and a response without that is accepted."""
    url = "https://{}/"
    with run_http2_server(ca, settings(INITIAL_WINDOW_SIZE=0)) as server, pytest.raises(TimeoutError):
        await ask(url.format(server.target), ca_file, method="POST", content=bytes(100_000), patience_seconds=0.5)
    with run_http2_server(ca, settings(INITIAL_WINDOW_SIZE=0) + ANSWER) as server:
        exchange, failure = await ask(url.format(server.target), ca_file, method="POST", content=bytes(100_000))
    assert (failure, exchange.body) == (None, b"hi")
