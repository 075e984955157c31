"""Checks of type `tcp` through real proxies: squid, and a little one that also speaks SOCKS 5."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from exporter.attempt import begin_attempt
from exporter.checks.tcp import TCP, TcpCheckExecutor
from exporter.config.load import parse_config
from exporter.errors import ConfigError
from exporter.net import Network
from exporter.net.proxy.route import Proxies, parse_exemption, parse_proxy_url, proxies_of_environment
from exporter.runner.pacing import Pacer
from tests.servers.certificates import server_context, valid
from tests.servers.proxy import run_proxy
from tests.servers.squid import run_squid
from tests.servers.tcp import closed_port, keep_silent, over_tls, say, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

    from exporter.config import Config
    from tests.servers.tcp import Behaviour

HOSTS = {"inside.test": "127.0.0.1"}
PASSWORD = "s3cr3t-CANARY"
CREDENTIALS = f"username: me, password: {PASSWORD}"
OK = ("ok", "", "")


def say_and_stop(words: bytes) -> Behaviour:
    """Say something; read until the peer is gone, so that the connection is not reset."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        keep_silent(connection)

    return behave


def load(target: str, keys: str) -> Config:
    """A configuration with one check."""
    return parse_config(f"checks: [{{name: it, type: tcp, target: '{target}', {keys}}}]", "checks.yml", {"tcp": TCP})


async def run(target: str, keys: str, network: Network | None = None) -> tuple[str, str, str]:
    """Execute one check; return status, reason and detail, and make sure that no text contains the password."""
    attempt = begin_attempt()
    result = await TcpCheckExecutor(network).execute(load(target, keys).checks[0])
    assert PASSWORD not in repr((result, attempt.log))
    return str(result.status), str(result.reason or ""), result.detail


@pytest.mark.parametrize("password", ["", PASSWORD])
@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_finds_a_name_that_only_it_knows(kind: str, password: str) -> None:
    """Name and bytes go through the proxy unchanged, with and without credentials, and early data is kept."""
    with serve(say(b"hello\n")) as server, run_proxy(HOSTS, password) as proxy:
        port = proxy.port if kind == "http" else proxy.socks_port
        keys = f"proxy: {{url: '{kind}://127.0.0.1:{port}'{', ' + CREDENTIALS if password else ''}}}"
        assert await run(f"inside.test:{server.port}", f"{keys}, expect: [{{banner: hello}}]") == OK


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
async def test_tls_goes_through_proxies(kind: str, ca: trustme.CA, ca_file: Path) -> None:
    """The target's certificate is judged, even inside TLS with the proxy; each handshake waits for its turn."""
    pacer = Pacer()
    context = server_context(valid(ca, "localhost", "127.0.0.1"))
    with ExitStack() as stack:
        server = stack.enter_context(serve(over_tls(context)))
        proxy = stack.enter_context(run_proxy({"localhost": "127.0.0.1"}, context=context if kind == "https" else None))
        port = proxy.socks_port if kind == "socks5" else proxy.port
        tls = f"tls_config: {{ca_file: {ca_file}}}"
        way = f"proxy: {{url: '{kind}://127.0.0.1:{port}'{', ' + tls if kind == 'https' else ''}}}"
        assert await run(f"localhost:{server.port}", f"tls: true, {tls}, {way}", Network(pacer=pacer)) == OK
    assert pacer.handshakes == (2 if kind == "https" else 1)


@pytest.mark.parametrize(
    ("kind", "credentials", "reason"),
    [
        ("http", "", "the proxy demands a user name and password (407)"),
        ("http", "username: me, password: wrong", "the proxy rejected the user name or password (407)"),
        ("socks5", "", "the proxy wants any authentication"),
        ("socks5", "username: me, password: wrong", "the proxy rejected the user name or password"),
    ],
)
async def test_a_proxy_that_refuses_credentials_is_an_auth_failure(kind: str, credentials: str, reason: str) -> None:
    """Missing and wrong credentials have different texts."""
    with run_proxy(HOSTS, PASSWORD) as proxy:
        port = proxy.port if kind == "http" else proxy.socks_port
        keys = f"proxy: {{url: '{kind}://127.0.0.1:{port}', {credentials}}}"
        assert await run("inside.test:9", keys) == ("error", "auth", reason)


async def test_what_the_proxy_says_of_the_target_is_the_reason() -> None:
    """A target that refuses connections is distinguished from a proxy that does."""
    with run_proxy(HOSTS) as proxy, closed_port() as port:
        target = f"127.0.0.1:{port}"
        for way in (f"http://127.0.0.1:{proxy.port}", f"socks5://127.0.0.1:{proxy.socks_port}"):
            status, reason, detail = await run(target, f"proxy: '{way}'")
            assert (status, reason, target in detail) == ("error", "connect_refused", True)
        refused = await run("inside.test:9", f"proxy: 'http://127.0.0.1:{port}'")
        assert refused == (
            "error",
            "connect_refused",
            f"the proxy 127.0.0.1:{port} failed: connection refused while connecting to 127.0.0.1:{port}",
        )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"", "protocol"),
        (b"SSH-2.0-x\r\n", "protocol"),
        (b"HTTP/1.1 403 No\r\n\r\n", "protocol"),
        (b"HTTP/1.1 101 No\r\n\r\n", "protocol"),
        (b"HTTP/1.1 100 C\r\n\r\n" * 11, "protocol"),
        (b"HTTP/1.1 502 No\r\nProxy-Status: p; error=dns_error\r\n\r\n", "resolve"),
        (b"HTTP/1.1 503 No\r\nX-Squid-Error: ERR_CONNECT_FAIL 113\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 502 No\r\nProxy-Status: q, p;\r\n error=dns_error \r\n\r\n", "resolve"),
        (b"HTTP/1.1 503 No\nX-Squid-Error:\tERR_DNS_FAIL 0 \n\n", "resolve"),
        (b"HTTP/1.1 504 No\r\n\r\n", "connect_timeout"),
        (b"HTTP/1.1 200 Go\r\nno colon\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 Go\r\nX: " + b"x" * 70000, "protocol"),
    ],
)
async def test_a_proxy_that_misbehaves_is_named(words: bytes, reason: str) -> None:
    """Each answer of a proxy has its reason, and nothing is left open or hangs."""
    with serve(say_and_stop(words)) as server:
        assert (await run("inside.test:9", f"proxy: 'http://{server.target}'"))[:2] == ("error", reason)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"\x04\x00", "protocol"),
        (b"\x05\xff", "auth"),
        (b"\x05\x02", "protocol"),
        (b"\x05\x00\x05\x04\x00\x01", "unreachable"),
        (b"\x05\x00\x05\x63\x00\x01", "protocol"),
        (b"\x05\x00\x05\x00\x00\x09", "protocol"),
        (b"\x05\x00\x05\x00\x00\x01\x7f", "protocol"),
    ],
)
async def test_a_socks_proxy_that_misbehaves_is_named(words: bytes, reason: str) -> None:
    """The same for SOCKS, answers that end too early included."""
    with serve(say_and_stop(words)) as server:
        assert (await run("inside.test:9", f"proxy: 'socks5://{server.target}'"))[:2] == ("error", reason)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 Go\n\n",
        b"HTTP/1.1 200 Go\r\n\n",
        b"HTTP/1.0 200\nVia: a\n b\n\r\n",
        b"HTTP/1.1 200 Go\r\nVia: \x01\r\n\r\n",
        b"HTTP/1.1 100 C\n\nHTTP/1.1  204 Go\n\n",
        b"http/1.1 200 go\r\nX : a\r\n\r\n",
    ],
)
async def test_a_proxy_may_answer_oddly(head: bytes) -> None:
    """An odd head opens the tunnel, data after it belongs to the target, and the log says what was odd."""
    with serve(say(head + b"220 hello\r\n")) as server:
        attempt = begin_attempt()
        keys = f"proxy: 'http://{server.target}', timeout: 5s, expect: [{{banner: '220 hello'}}]"
        result = await TcpCheckExecutor().execute(load("inside.test:9", keys).checks[0])
    notes = [line.message for line in attempt.log]
    assert (result.detail, attempt.observed["banner"]) == ("", ("220 hello",))
    assert "the proxy's answer is not well-formed" in notes


@pytest.mark.parametrize("fields", [b"Content-Length: 9\r\n", b"Content-Length: x\n", b"Transfer-Encoding: gzip\r\n"])
async def test_an_open_tunnel_has_no_body(fields: bytes) -> None:
    """Headers about a body are ignored in a response to CONNECT (RFC 9110 section 9.3.6)."""
    with serve(say(b"HTTP/1.1 200 Go\r\n" + fields + b"\r\n220 hello\r\n")) as server:
        attempt = begin_attempt()
        keys = f"proxy: 'http://{server.target}', expect: [{{banner: '220 hello'}}]"
        result = await TcpCheckExecutor().execute(load("inside.test:9", keys).checks[0])
    assert (result.detail, attempt.observed["banner"]) == ("", ("220 hello",))


@pytest.mark.parametrize(
    ("way", "words", "reason"),
    [
        ("http", b"HTTP/1.1 OK\n", "protocol"),
        ("http", b"HTTP/1.1 200 Go\njunk\n", "protocol"),
        ("http", b"SSH", "protocol"),
        ("socks5", b"S", "protocol"),
        ("socks5", b"\x04", "protocol"),
        ("socks5", b"\x05\xff", "auth"),
        ("socks5", b"\x05\x00\x04", "protocol"),
        ("socks5", b"\x05\x00\x05\x05", "connect_refused"),
    ],
)
async def test_a_proxy_that_stops_talking_is_refused_for_what_it_said(way: str, words: bytes, reason: str) -> None:
    """An invalid answer is rejected at once, even if the proxy keeps the connection open."""
    with serve(say(words)) as server:
        outcome = await asyncio.wait_for(run("inside.test:9", f"proxy: '{way}://{server.target}'"), 10)
    assert outcome[:2] == ("error", reason)


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_is_not_sent_zones(kind: str) -> None:
    """The zone of an address is only valid on this machine, so the proxy gets the address without it."""
    with run_proxy({"fe80::1": "127.0.0.1"}) as proxy, serve(say(b"220 hello\r\n")) as target:
        port = proxy.port if kind == "http" else proxy.socks_port
        await run(f"[fe80::1%lo]:{target.port}", f"proxy: '{kind}://127.0.0.1:{port}'")
        wanted = f"[fe80::1]:{target.port}"
    assert [head.split("\r\n") for head in proxy.heads] == (
        [[f"CONNECT {wanted} HTTP/1.1", f"Host: {wanted}"]] if kind == "http" else []
    )
    assert proxy.targets == ([("fe80::1", target.port)] if kind == "socks5" else [])


async def test_a_silent_proxy_is_given_up_on() -> None:
    """The connect timeout applies to the tunnel as well."""
    with serve(say(b"")) as server:
        keys = f"proxy: 'http://{server.target}', connect_timeout: 500ms"
        expected = ("error", "connect_timeout", "the proxy did not reach inside.test:9 within 0.5 s")
        assert await run("inside.test:9", keys) == expected


@pytest.fixture(scope="module")
def squid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a squid that allows everything."""
    with run_squid(tmp_path_factory.mktemp("squid")) as port:
        yield port


async def test_squid_opens_a_tunnel_or_says_why_not(squid: int) -> None:
    """Squid's text about a refused connection is understood."""
    with serve(say(b"hello\n")) as server, closed_port() as closed:
        way = f"proxy: 'http://127.0.0.1:{squid}'"
        assert await run(server.target, f"{way}, expect: [{{banner: hello}}]") == OK
        assert await run(f"127.0.0.1:{closed}", way) == (
            "error",
            "connect_refused",
            f"asked for 127.0.0.1:{closed}, the proxy answered with status 503 (ERR_CONNECT_FAIL)",
        )


async def test_what_is_exempt_goes_past_the_proxy() -> None:
    """A target in no_proxy is connected to directly, and the environment's proxies are used only on request."""
    with serve(say(b"")) as server, closed_port() as port:
        assert await run(server.target, f"proxy: 'http://127.0.0.1:{port}', no_proxy: [127.0.0.0/8]") == OK


def test_exemptions_mean_what_they_say() -> None:
    """Domains include all their subdomains, networks contain addresses, and a port narrows both."""
    entries = ["a.test", ".b.test", "10.0.0.0/8", "[::1]:80", "c.test:443", "::2"]
    proxy = parse_proxy_url("http://p.test")
    proxies = Proxies(proxy, proxy, tuple(map(parse_exemption, entries)))
    direct = [("a.test", 1), ("x.A.test.", 1), ("b.test", 1), ("10.1.2.3", 1), ("::1", 80), ("c.test", 443), ("::2", 1)]
    led = [("aa.test", 1), ("11.0.0.1", 1), ("::1", 81), ("c.test", 80), ("test", 1)]
    assert [proxies.route(host, port, secure=True) for host, port in direct] == [None] * len(direct)
    assert [proxies.route(host, port, secure=False) for host, port in led] == [proxy] * len(led)


def test_the_environment_is_read_as_other_programs_read_it() -> None:
    """Lower case takes precedence, a scheme may be missing, and a CGI request cannot set HTTP_PROXY."""
    found = proxies_of_environment({"HTTP_PROXY": "http://me:p%40@up:1", "https_proxy": "low:2", "NO_PROXY": "a, ,?"})
    assert found.plain is not None
    assert (found.plain.host, found.plain.username, found.plain.password) == ("up", "me", "p@")
    assert (found.secure, found.exemptions) == (parse_proxy_url("http://low:2"), (parse_exemption("a"),))
    assert proxies_of_environment({"HTTP_PROXY": "http://up:1", "REQUEST_METHOD": "GET"}) == Proxies()
    with pytest.raises(ValueError, match="the environment's https_proxy is not a URL of a proxy"):
        proxies_of_environment({"https_proxy": "ftp://secret"})


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("proxy: 'p.test:1'", 'proxy: "p.test:1" is not a URL of a proxy; write http://'),
        (f"proxy: 'http://me:{PASSWORD}@p.test'", "has a user name or password in it; write them as username"),
        ("proxy: {url: 'http://p.test', username: me}", "needs username and password together"),
        ("proxy: {url: 'http://p.test', username: 'm:e', password: x}", "has a colon in username"),
        ("proxy: {url: 'http://p.test', tls_config: {}}", "has tls_config, which is for a proxy with https://"),
        ("proxy: 'http://p.test/x'", "has more than a host and a port"),
        ("proxy: 'http://p.test', proxy_from_environment: true", "has proxy and proxy_from_environment"),
        ("proxy: 'http://p.test', connect_to: 127.0.0.1", "has connect_to and a proxy"),
        ("no_proxy: ['a b']", "is not a host name"),
        ("proxy_connect_headers: {Host: x}", "is set from the target"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: str, problem: str) -> None:
    """The error says what to write, without passwords."""
    with pytest.raises(ConfigError) as raised:
        load("inside.test:9", keys)
    assert problem in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_the_effective_configuration_masks_the_password() -> None:
    """`/config` shows the proxy without its password."""
    rendered = load("inside.test:9", f"proxy: {{url: 'http://p.test:1', {CREDENTIALS}}}").rendered
    assert ("http://p.test:1" in rendered, PASSWORD in rendered, "<secret>" in rendered) == (True, False, True)
