"""httpx over the exporter's transport, requests as they are sent, and other httpx clients."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.client import EXCHANGE, OPTIONS, ProbeClient, sender_of
from exporter.http.message import USER_AGENT, Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.net.proxy.route import Proxies, parse_proxy_url
from exporter.settings import NetworkSettings, TlsConfig
from tests.servers.certificates import server_context, valid
from tests.servers.http import echo_head, encoded, gzipped, raw, redirect, respond, run_http_server
from tests.servers.tcp import closed_port, keep_silent, reset_when_spoken_to, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from tests.servers.http import Act

OPTIONS_BY_DEFAULT = RequestOptions(network=NetworkSettings(), tls=TlsConfig())


def written(method: str, url: str, **options: object) -> list[bytes]:
    """The lines of a request as it is sent."""
    request = httpx.Request(method, url, **options)  # type: ignore[arg-type]  # options as httpx has them
    return wire_request(request, OPTIONS_BY_DEFAULT).wire.split(b"\r\n")


def test_a_request_is_written_once_and_completely() -> None:
    """The request line has path and query, headers are sent as given, and the connection ends after the response."""
    assert written("GET", "http://shop.example:8080/a%20b?c=d#e", headers={"X-Name": "ü".encode()}) == [
        b"GET /a%20b?c=d HTTP/1.1",
        b"Host: shop.example:8080",
        b"X-Name: \xc3\xbc",
        b"Connection: close",
        b"",
        b"",
    ]


def test_a_body_has_its_length() -> None:
    """A body goes with its length, and an empty one of a method that has bodies says so."""
    assert written("POST", "http://x.example/", content=b"a\r\nb")[-5:] == [
        b"Connection: close",
        b"Content-Length: 4",
        b"",
        b"a",
        b"b",
    ]
    assert written("POST", "http://x.example/")[-3:] == [b"Content-Length: 0", b"", b""]
    assert b"Content-Length: 0" not in written("DELETE", "http://x.example/")


def test_framing_is_not_taken_from_elsewhere() -> None:
    """Framing headers of a request are replaced, except for an offer to switch protocols."""
    headers = {"Connection": "keep-alive", "Transfer-Encoding": "chunked", "Content-Length": "5", "Keep-Alive": "x"}
    assert written("GET", "http://x.example/", headers=headers) == [
        b"GET / HTTP/1.1",
        b"Host: x.example",
        b"Connection: close",
        b"",
        b"",
    ]
    upgrade = written("GET", "http://x.example/", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert upgrade[-3:] == [b"Connection: Upgrade", b"", b""]


@pytest.mark.parametrize("value", [b"a\r\nX: b", b"a\nb", b"a\rb", b"a\x00b"])
def test_a_header_cannot_break_out_of_its_line(value: bytes) -> None:
    """A header with a line break is a defect of the program, and is never sent."""
    with pytest.raises(ValueError, match="line break or a NUL"):
        written("GET", "http://x.example/", headers=[(b"X-Y", value)])
    with pytest.raises(ValueError, match="line break or a NUL"):
        written("GET /\r\nX: y", "http://x.example/")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://x.example/", ("x.example", 80, False)),
        ("https://x.example/", ("x.example", 443, True)),
        ("https://x.example:80/", ("x.example", 80, True)),
        ("http://[2001:db8::1]:8080/", ("2001:db8::1", 8080, False)),
        ("http://[fe80::1%25eth0]/", ("fe80::1%eth0", 80, False)),
        ("http://bücher.example/", ("xn--bcher-kva.example", 80, False)),
    ],
)
def test_a_url_says_where_to_connect(url: str, place: tuple[str, int, bool]) -> None:
    """The host, the port and whether TLS is used follow from the URL."""
    wire = wire_request(httpx.Request("GET", url), OPTIONS_BY_DEFAULT)
    assert (*wire.endpoint, wire.secure) == place


@pytest.mark.parametrize(
    "headers", [None, [("Host", "[fe80::1%25eth0]:8080")], [("host", "[fe80::1%eth0]:8080")]], ids=["own", "%25", "%"]
)
def test_a_zone_is_left_out_of_the_request(headers: list[tuple[str, str]] | None) -> None:
    """The zone of an address means nothing to the server, in any version of HTTP, nor to a proxy."""
    request = httpx.Request("GET", "http://[fe80::1%25eth0]:8080/a%25", headers=headers)
    proxies = Proxies(parse_proxy_url("http://p.example:3128"))
    wire = wire_request(request, OPTIONS_BY_DEFAULT)
    via_proxy = wire_request(request, replace(OPTIONS_BY_DEFAULT, proxies=proxies))
    assert [value for name, value in wire.fields if name.lower() == b"host"] == [b"[fe80::1]:8080"]
    assert dict(wire.binary_head())[b":authority"] == b"[fe80::1]:8080"
    assert via_proxy.wire.partition(b"\r\n")[0] == b"GET http://[fe80::1]:8080/a%25 HTTP/1.1"


async def test_the_client_is_an_httpx_client() -> None:
    """A response is decoded as usual in httpx, and has the measured exchange."""
    shared = HttpShared()
    with run_http_server({"/": encoded("gzip", gzipped(b"hello"))}) as server:
        async with ProbeClient(shared, current_attempt) as client:
            response = await client.get(server.url())
    exchange = response.extensions[EXCHANGE]
    assert (response.status_code, response.text, response.http_version) == (200, "hello", "HTTP/1.1")
    assert isinstance(exchange, Exchange)
    assert exchange.header_values("content-encoding") == ("gzip",)
    assert exchange.connection.ip_protocol == 4
    assert (shared.counts.requests, shared.counts.opened, shared.counts.reused) == (1, 1, 0)
    assert server.requests[0].headers["user-agent"] == USER_AGENT


async def test_options_travel_with_a_request() -> None:
    """The options under their key control how a request is made and the limits on its response."""
    options = RequestOptions(network=NetworkSettings(source_ip="127.0.0.9"), tls=TlsConfig(), body_limit_bytes=4)
    with run_http_server({"/": respond(200, b"hello")}) as server:
        async with ProbeClient(HttpShared(), current_attempt) as client:
            with pytest.raises(CheckFailed) as raised:
                await client.get(server.url(), extensions={OPTIONS: options})
    assert raised.value.reason is Reason.TOO_LARGE


async def test_streamed_content_is_sent_with_its_length() -> None:
    """Content that httpx would send in chunks is collected first."""

    async def pieces() -> object:
        yield b"one "
        yield b"two"

    with run_http_server({"/": respond()}) as server:
        async with ProbeClient(HttpShared(), current_attempt) as client:
            await client.post(server.url(), content=pieces())  # type: ignore[arg-type]  # an async iterator of bytes
    assert (server.requests[0].body, server.requests[0].headers["content-length"]) == (b"one two", "7")
    assert "transfer-encoding" not in server.requests[0].headers


async def test_the_client_keeps_no_cookies_and_follows_nothing() -> None:
    """The next request knows nothing of the previous one, and a redirect is a response."""
    with run_http_server({"/": redirect("/x", headers=[("Set-Cookie", "a=1")])}) as server:
        async with ProbeClient(HttpShared(), current_attempt) as client:
            responses = [await client.get(server.url()) for _ in range(2)]
    assert [response.status_code for response in responses] == [302, 302]
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


async def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies, authorities and passwords in the environment change nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE", "NETRC"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with run_http_server({"/": echo_head}) as server:
        async with ProbeClient(HttpShared(), current_attempt) as client:
            response = await client.get(server.url())
    assert response.status_code == 200
    assert "authorization" not in server.requests[0].headers


async def test_tls_is_verified_by_the_name_asked_for(ca: trustme.CA, ca_file: Path) -> None:
    """Over https the certificate must be for the URL's host, or for the name that stands in for it."""
    tls = TlsConfig(ca_file=str(ca_file))
    network = NetworkSettings(connect_to="127.0.0.1")
    found: list[object] = []
    with run_http_server({"/": respond()}, context=server_context(valid(ca, "good.test"))) as server:
        async with ProbeClient(HttpShared(), current_attempt) as client:
            for host, server_name, own in (
                ("good.test", None, None),
                ("other.test", None, None),
                ("other.test", "good.test", None),
                ("other.test", "third.test", "good.test"),
            ):
                named = tls.model_copy(update={"server_name": own})
                options = RequestOptions(network=network, tls=named, server_name=server_name)
                try:
                    response = await client.get(f"https://{host}:{server.port}/", extensions={OPTIONS: options})
                    found.append(response.status_code)
                except CheckFailed as failure:
                    found.append(failure.reason)
    assert found == [200, Reason.CERTIFICATE, 200, 200]


async def exchange_by(
    client: httpx.AsyncClient, url: str, *, limit_bytes: int = 1000
) -> tuple[Exchange, Reason | None]:
    """Make one exchange by any client; return it with the reason of its failure."""
    options = RequestOptions(network=NetworkSettings(), tls=TlsConfig(), body_limit_bytes=limit_bytes)
    request = httpx.Request("GET", url)
    exchange = Exchange(current_attempt(), secure=False)
    try:
        async with client:
            await sender_of(client).exchange(wire_request(request, options), exchange)
    except CheckFailed as failure:
        return exchange, failure.reason
    return exchange, None


@pytest.mark.parametrize(
    "make",
    [lambda: ProbeClient(HttpShared(), current_attempt), lambda: httpx.AsyncClient(trust_env=False, verify=False)],
)
@pytest.mark.parametrize(
    ("act", "status", "body", "reason"),
    [
        (respond(200, b"hello", [("X-Y", "z")]), 200, b"hello", None),
        (redirect("/elsewhere"), 302, b"elsewhere", None),
        (encoded("gzip", gzipped(b"hello")), 200, b"hello", None),
        (encoded("gzip", gzipped(b"hello" * 1000)), 200, None, Reason.TOO_LARGE),
        (encoded("gzip", b"no such thing"), 200, None, Reason.DECODE),
        (encoded("rot13", b"uryyb"), 200, b"uryyb", None),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2000)), 200, None, Reason.TOO_LARGE),
        (raw(b"SSH-2.0-OpenSSH\r\n"), 0, b"", Reason.PROTOCOL),
        (raw(), 0, b"", Reason.PROTOCOL),
    ],
)
async def test_every_client_yields_the_same(
    make: Callable[[], httpx.AsyncClient], act: Act, status: int, body: bytes | None, reason: Reason | None
) -> None:
    """An exchange by another httpx client is reported in the same words, within the same limits."""
    with run_http_server({"/": act}) as server:
        exchange, failure = await exchange_by(make(), server.url())
    assert (exchange.status, failure) == (status, reason)
    assert body is None or exchange.body == body


async def test_failures_of_another_client_have_our_reasons() -> None:
    """The operating system's error behind httpx's exception decides, else the kind of the exception."""

    def client(timeout_seconds: float = 20) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False, verify=False, timeout=timeout_seconds)

    with closed_port() as port:
        refused = (await exchange_by(client(), f"http://127.0.0.1:{port}/"))[1]
    with serve(reset_when_spoken_to) as server:
        reset = (await exchange_by(client(), f"http://{server.target}/"))[1]
    unresolved = (await exchange_by(httpx.AsyncClient(transport=_Unresolving()), "http://x.example/"))[1]
    with serve(keep_silent) as server:
        timeout = (await exchange_by(client(0.5), f"http://{server.target}/"))[1]
    assert [refused, reset, unresolved, timeout] == [
        Reason.CONNECT_REFUSED,
        Reason.CONNECTION_RESET,
        Reason.RESOLVE,
        Reason.TIMEOUT,
    ]


async def test_a_made_up_response_counts_as_one() -> None:
    """Embedders who test with httpx's MockTransport get results as from a server."""
    transport = httpx.MockTransport(lambda request: httpx.Response(203, text=f"for {request.url}"))
    exchange, failure = await exchange_by(httpx.AsyncClient(transport=transport), "http://x.example/")
    assert (failure, exchange.status, exchange.body) == (None, 203, b"for http://x.example/")
    large = httpx.MockTransport(lambda _request: httpx.Response(200, content=bytes(1001)))
    assert (await exchange_by(httpx.AsyncClient(transport=large), "http://x.example/"))[1] is Reason.TOO_LARGE


async def test_requests_that_fail_are_counted_as_far_as_they_came() -> None:
    """A connection that failed is not counted; a request without a response is."""
    shared = HttpShared()
    with closed_port() as port, run_http_server({"/": raw()}) as server:
        async with ProbeClient(shared, current_attempt) as client:
            with pytest.raises(CheckFailed):
                await client.get(f"http://127.0.0.1:{port}/")
            assert (shared.counts.requests, shared.counts.opened) == (0, 0)
            with pytest.raises(CheckFailed):
                await client.get(server.url())
    assert (shared.counts.requests, shared.counts.opened) == (1, 1)


class _Unresolving(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no address", request=request) from socket.gaierror(socket.EAI_NONAME, "unknown")
