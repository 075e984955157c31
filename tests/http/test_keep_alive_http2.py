"""Connections of HTTP/2 kept open between requests: one request at a time, watched meanwhile, and dropped in time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from hyperframe.frame import (
    GoAwayFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.settings import NetworkSettings, TlsConfig
from tests.servers.http2 import data, frame, head, run_http2_conversations, settings
from tests.servers.nginx import TLS_SERVER
from tests.servers.sockets import sockets_to
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from tests.servers.nginx import CertificateFiles, Nginx

HTTP2_SERVER = TLS_SERVER.replace("ssl backlog", "ssl http2 backlog")
PING = frame(PingFrame(0, b"12345678"))
PING_ACK, SETTINGS_ACK = (6, 1), (4, 1)


def answer(stream: int = 1) -> bytes:
    """A whole answer."""
    return head("200", [("content-length", "2")], stream=stream) + data(b"hi", stream=stream)


FIRST = settings() + answer()


async def ask(
    shared: HttpShared, url: str, ca_file: Path, *, method: str = "GET", content: bytes = b"",
    body_limit_bytes: int = 1 << 20, stop_at_redirect: bool = False,
) -> Exchange:  # fmt: skip
    """Make one exchange that keeps its connection."""
    options = RequestOptions(
        network=NetworkSettings(), tls=TlsConfig(ca_file=str(ca_file)), keep_alive=True,
        body_limit_bytes=body_limit_bytes, stop_at_redirect=stop_at_redirect,
    )  # fmt: skip
    exchange = Exchange(current_attempt(), secure=True)
    request = wire_request(httpx.Request(method, url, content=content or None), options)
    await ProbeTransport(shared).exchange(request, exchange)
    return exchange


def counted(shared: HttpShared) -> tuple[int, int]:
    """Connections opened, and requests over those opened earlier."""
    return shared.counts.opened, shared.counts.reused


async def test_the_next_batch_uses_the_connection_again(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """A request over an old connection has its facts, no phases of connecting, and its own response."""
    nginx, root = start_nginx(HTTP2_SERVER, certificate=certificate), HttpShared()
    first = await ask(root.for_batch(), nginx.tls_url(), ca_file)
    batch = root.for_batch()
    later = [await ask(batch, nginx.tls_url(), ca_file, method=method) for method in ("GET", "HEAD", "GET")]
    assert [(one.status, one.http_version, one.body) for one in later] == [
        (200, "2", b"hello\n"), (200, "2", b""), (200, "2", b"hello\n"),
    ]  # fmt: skip
    facts = later[0].connection
    assert (counted(batch), facts.address, facts.tls) == ((0, 3), first.connection.address, first.connection.tls)
    assert (facts.connect_seconds, facts.tls_seconds, later[0].processing_seconds > 0) == (0.0, 0.0, True)


async def test_a_connection_that_carried_something_odd_is_not_kept(ca: trustme.CA, ca_file: Path) -> None:
    """After a value with blanks around it the next request has a fresh connection."""
    odd = [head(fields=[("x", " a")]), data(b"hi")]
    with run_http2_conversations(ca, [odd], [[head(), data(b"hi")], [head(stream=3), data(b"hi", stream=3)]]) as served:
        shared = HttpShared()
        got = [await ask(shared, f"https://{served.server.target}/", ca_file) for _ in range(3)]
    assert [one.oddities for one in got] == [("whitespace around the value of x",), (), ()]
    assert counted(shared) == (2, 1)


async def test_windows_stay_open_over_many_bodies(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path, tmp_path: Path
) -> None:
    """Bodies larger than the connection's window arrive and are sent completely, one after the other."""
    body = bytes(range(256)) * 10_000
    tmp_path.joinpath("big").write_bytes(body)
    files = f"client_max_body_size 9m; location /big {{ root {tmp_path}; }} location /"
    nginx, shared = start_nginx(HTTP2_SERVER.replace("location /", files), certificate=certificate), HttpShared()
    got = [await ask(shared, nginx.tls_url("/big"), ca_file, body_limit_bytes=len(body)) for _ in range(3)]
    sent = [await ask(shared, nginx.tls_url(), ca_file, method="PUT", content=bytes(20_000)) for _ in range(5)]
    assert ([one.body == body for one in got], [one.status for one in sent]) == ([True] * 3, [200] * 5)
    assert counted(shared) == (1, 7)


async def test_a_server_may_end_a_connection_with_its_answer(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """GOAWAY, which nginx sends with its second response here, is respected."""
    http = HTTP2_SERVER.replace("location", "keepalive_requests 2; location")
    nginx, shared = start_nginx(http, certificate=certificate), HttpShared()
    assert [(await ask(shared, nginx.tls_url(), ca_file)).status for _ in range(4)] == [200] * 4
    assert counted(shared) == (2, 2)


async def test_a_connection_that_its_server_closed_is_noticed(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """When the server's timeout ends the connection, it is dropped, and the next request has a fresh one."""
    http = HTTP2_SERVER.replace("location", "keepalive_timeout 1s; location")
    nginx, shared = start_nginx(http, certificate=certificate), HttpShared()
    await ask(shared, nginx.tls_url(), ca_file)
    await until(lambda: sockets_to(nginx.tls_port) == 0)
    await ask(shared, nginx.tls_url(), ca_file)
    assert counted(shared) == (2, 0)


async def test_what_a_server_may_say_meanwhile_is_answered(ca: trustme.CA, ca_file: Path) -> None:
    """Pings and settings are acknowledged while the connection is idle, other frames are read, and it stays usable."""
    talk = settings(MAX_CONCURRENT_STREAMS=1) + frame(WindowUpdateFrame(0, 9)) + frame(RstStreamFrame(1))
    talk += frame(PriorityFrame(1)) + b"\x00\x00\x02\x0c\x00\x00\x00\x00\x00\x00\x00"  # ORIGIN, RFC 8336
    later = threading.Event()
    with run_http2_conversations(ca, [[FIRST + talk + PING, later, PING], [answer(3)]]) as (server, heard):
        shared, url = HttpShared(), f"https://{server.target}/"
        await ask(shared, url, ca_file)
        later.set()
        await until(lambda: heard[0].count(PING_ACK) == 2)
        assert ((await ask(shared, url, ca_file)).body, heard[0].count(SETTINGS_ACK)) == (b"hi", 2)
    assert counted(shared) == (1, 1)


async def test_a_frame_may_begin_in_one_exchange_and_end_in_the_next(ca: trustme.CA, ca_file: Path) -> None:
    """Half a frame after a response is not a reason to drop the connection."""
    with run_http2_conversations(ca, [[FIRST + PING[:11]], [PING[11:] + answer(3)]]) as (server, _):
        shared, url = HttpShared(), f"https://{server.target}/"
        assert [(await ask(shared, url, ca_file)).body for _ in range(2)] == [b"hi"] * 2
    assert counted(shared) == (1, 1)


async def test_a_redirect_without_body_leaves_its_connection(ca: trustme.CA, ca_file: Path) -> None:
    """If no part of a response is left unread, skipping the body does not matter."""
    sent = settings() + head("302", [("location", "/")], flags=["END_STREAM"])
    with run_http2_conversations(ca, [[sent], [answer(3)]]) as (server, _):
        shared, url = HttpShared(), f"https://{server.target}/"
        got = [await ask(shared, url, ca_file, stop_at_redirect=True) for _ in range(2)]
    assert ([one.status for one in got], counted(shared)) == ([302, 200], (1, 1))


UNASKED = {
    "goaway": frame(GoAwayFrame(0, last_stream_id=1)),
    "answer": answer(3),
    "more body": data(b"more"),
    "push": frame(PushPromiseFrame(1, 2, flags=["END_HEADERS"])),
    "large frame": b"\x00\x40\x01\x00\x00\x00\x00\x00\x01",
    "broken": frame(WindowUpdateFrame(0, 0x7FFFFFFF)),
    "no peace": PING * 3000,
}


@pytest.mark.parametrize("name", UNASKED)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_what_comes_unasked_ends_a_connection(ca: trustme.CA, ca_file: Path, name: str, later: bool) -> None:
    """A connection that its server closes, or on which it sends unexpected data, is dropped while idle."""
    now = threading.Event()
    sent: list[bytes | threading.Event] = [FIRST, now, UNASKED[name]] if later else [FIRST + UNASKED[name]]
    with run_http2_conversations(ca, [sent], [[FIRST]]) as (server, _):
        shared, url = HttpShared(), f"https://{server.target}/"
        assert (await ask(shared, url, ca_file)).body == b"hi"
        now.set()
        await until(lambda: sockets_to(server.port) == 0)
        assert (await ask(shared, url, ca_file)).body == b"hi"
    assert counted(shared) == (2, 0)


@pytest.mark.parametrize(
    "script",
    [
        [[FIRST]],
        [[FIRST + settings(MAX_CONCURRENT_STREAMS=0)]],
        [[FIRST], [frame(GoAwayFrame(0, last_stream_id=1))]],
        [[FIRST], [frame(RstStreamFrame(3, 7))]],
    ],
    ids=["closed", "no room", "goaway", "refused"],
)
async def test_a_request_whose_old_connection_breaks_is_made_anew(
    ca: trustme.CA, ca_file: Path, script: list[list[bytes]]
) -> None:
    """If a server ends the connection just before the request, it is sent again over a fresh one."""
    with run_http2_conversations(ca, script, [[FIRST]]) as (server, _):
        shared, url = HttpShared(), f"https://{server.target}/"
        await ask(shared, url, ca_file)
        second = await ask(shared, url, ca_file)
    assert (second.body, second.connection.connect_seconds > 0) == (b"hi", True)
    assert (shared.counts.requests, *counted(shared)) == (3, 2, 1)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(RstStreamFrame(3, 2)), Reason.CONNECTION_RESET),
        (head(stream=3) + frame(GoAwayFrame(0, 3, 2)), Reason.PROTOCOL),
        (head("2x0", stream=3), Reason.PROTOCOL),
    ],
    ids=["reset", "goaway within", "odd status"],
)
async def test_what_a_server_answers_is_its_answer(ca: trustme.CA, ca_file: Path, sent: bytes, reason: Reason) -> None:
    """Once a response has begun, its failure is the check's, even over an old connection."""
    with run_http2_conversations(ca, [[FIRST], [sent]]) as (server, _):
        shared, url = HttpShared(), f"https://{server.target}/"
        await ask(shared, url, ca_file)
        with pytest.raises(CheckFailed) as raised:
            await ask(shared, url, ca_file)
    assert (raised.value.reason, *counted(shared)) == (reason, 1, 1)


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (settings() + frame(GoAwayFrame(0, last_stream_id=1)) + answer(), b""),
        (settings(INITIAL_WINDOW_SIZE=0) + answer(), bytes(100_000)),
        (settings() + head("302", [("location", "/")]), b""),
    ],
    ids=["goaway", "request unread", "body unread"],
)
async def test_only_a_connection_on_which_all_is_said_is_kept(
    ca: trustme.CA, ca_file: Path, sent: bytes, content: bytes
) -> None:
    """A connection that the server is leaving, or with a stream still open on either side, carries no other request."""
    with run_http2_conversations(ca, [[sent]], [[FIRST]]) as (server, _):
        shared, url = HttpShared(), f"https://{server.target}/"
        await ask(shared, url, ca_file, method="PUT", content=content, stop_at_redirect=True)
        assert (await ask(shared, url, ca_file)).body == b"hi"
    assert counted(shared) == (2, 0)


async def test_what_may_not_be_repeated_has_a_fresh_connection(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """A POST is never sent over a connection that its server may be closing, but leaves its own for others."""
    nginx, shared = start_nginx(HTTP2_SERVER, certificate=certificate), HttpShared()
    for method in ("GET", "POST", "GET"):
        assert (await ask(shared, nginx.tls_url(), ca_file, method=method)).status == 200
    assert counted(shared) == (2, 1)
