"""HTTP checks through proxies and with basic and digest authentication, where it is asked for well and badly."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from exporter.attempt import begin_attempt
from exporter.checks.http import HTTP, HttpCheckExecutor
from exporter.config.load import parse_config
from exporter.net import Network
from tests.servers.certificates import server_context, valid
from tests.servers.http import echo_head, redirect, respond, run_http_server
from tests.servers.nginx import PLAIN_SERVER, TLS_SERVER
from tests.servers.proxy import run_proxy

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from exporter.attempt import Attempt
    from exporter.model import Result
    from tests.servers.http import Act, Request
    from tests.servers.nginx import CertificateFiles, Nginx

PASSWORD = "s3cr3t-CANARY"
CREDENTIALS = f"username: me, password: {PASSWORD}"
HOSTS = {"inside.test": "127.0.0.1", "localhost": "127.0.0.1"}
DIGEST = f"digest_auth: {{{CREDENTIALS}}}"


async def run(target: str, keys: str) -> tuple[Result, Attempt]:
    """Execute one check as a user writes it; nothing it says holds the password."""
    text = f"checks: [{{name: it, type: http, target: '{target}', {keys}}}]"
    config = parse_config(text, "checks.yml", {"http": HTTP})
    assert PASSWORD not in config.rendered
    attempt = begin_attempt()
    result = await HttpCheckExecutor(network=Network()).execute(config.checks[0])
    assert PASSWORD not in repr((result, attempt.log))
    return result, attempt


def digest_server(algorithm: str, qop: str = "auth", nonce: str = "n0nce") -> Act:
    """Ask for digest authentication, and answer with 200 when the response is the one of RFC 7616 section 3.4."""
    digest = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm.removesuffix("-sess")]

    def hashed(*parts: str) -> str:
        return digest(":".join(parts).encode()).hexdigest()

    def act(connection: socket.socket, request: Request) -> None:
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', request.headers.get("authorization", "")))
        secret = hashed("me", "r", PASSWORD)
        if algorithm.endswith("-sess"):
            secret = hashed(secret, nonce, given.get("cnonce", ""))
        what = hashed(request.method, request.path)
        middle = (given.get("nc", ""), given.get("cnonce", ""), qop) if qop else ()
        right = given.get("response") == hashed(secret, nonce, *middle, what)
        challenge = f'Digest realm="r", nonce="{nonce}", algorithm={algorithm}' + (f', qop="{qop}"' if qop else "")
        respond(200 if right else 401, b"", [] if right else [("WWW-Authenticate", challenge)])(connection, request)

    return act


@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [("MD5", "auth"), ("MD5", ""), ("SHA-256", "auth"), ("MD5-sess", "auth"), ("SHA-256-sess", "auth")],
)
async def test_digest_authentication_is_answered(algorithm: str, qop: str) -> None:
    """A challenge costs one more request, which is no redirect."""
    with run_http_server({"/a?b=c": digest_server(algorithm, qop)}) as server:
        result, attempt = await run(server.url("/a?b=c"), DIGEST)
        assert (result.reason, attempt.observed["status"], attempt.observed["redirects"]) == (None, 200, 0)
        assert ["authorization" in request.headers for request in server.requests] == [False, True]


async def test_a_digest_that_is_not_accepted_is_left_to_the_expectation() -> None:
    """The second 401 is the answer; nothing asks for ever."""
    with run_http_server({"/": respond(401, b"", [("WWW-Authenticate", 'Digest realm="r", nonce="n"')])}) as server:
        result, attempt = await run(server.url(), DIGEST)
        assert (result.reason, attempt.observed["status"], len(server.requests)) == (None, 401, 2)


@pytest.mark.parametrize(
    "challenge",
    ["Digest realm=r", 'Digest realm="r", nonce="n", algorithm=X', 'Digest realm="r", nonce="n", qop="auth-int"'],
)
async def test_a_challenge_that_cannot_be_answered_is_an_auth_failure(challenge: str) -> None:
    """Broken and unknown challenges are told as such."""
    with run_http_server({"/": respond(401, b"", [("WWW-Authenticate", challenge)])}) as server:
        result, _ = await run(server.url(), DIGEST)
        assert (result.reason, result.detail) == ("auth", "the server's challenge cannot be answered")


async def test_a_digest_is_given_to_no_other_origin() -> None:
    """A redirect to another origin, and back from it, leads to 401."""
    with run_http_server({"/": digest_server("MD5")}) as other, run_http_server({}) as server:
        with run_http_server({"/": redirect(other.url("/"))}) as home:
            _, attempt = await run(home.url(), DIGEST)
        assert (attempt.observed["status"], attempt.observed["redirects"]) == (401, 1)
        assert (["authorization" in request.headers for request in other.requests], server.requests) == ([False], [])


@pytest.mark.parametrize("server", ["plain", "tls"])
@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("wrong", 401), (None, 401)])
async def test_nginx_takes_the_right_password_only(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path, tmp_path: Path,
    server: str, password: str | None, status: int,
) -> None:  # fmt: skip
    """With auth_basic the user name and its password lead to the page, others and none to 401, over HTTP/1.1 and 2."""
    tmp_path.joinpath("passwords").write_text(f"me:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
    tmp_path.joinpath("index.html").write_text("hello", encoding="utf-8")
    place = f"auth_basic shop; auth_basic_user_file {tmp_path}/passwords; root {tmp_path};"
    http = (PLAIN_SERVER if server == "plain" else TLS_SERVER).replace("ssl backlog", "ssl http2 backlog")
    nginx = start_nginx(http.replace('return 200 "hello\\n";', place), certificate=certificate)
    keys = f"tls_config: {{ca_file: {ca_file}}}"
    keys += f", basic_auth: {{username: me, password: {password}}}" if password else ""
    result, attempt = await run(nginx.url() if server == "plain" else nginx.tls_url(), keys)
    assert (result.reason, attempt.observed["status"]) == (None, status)


@pytest.mark.parametrize("password", ["", PASSWORD])
@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_http_goes_through_a_proxy(kind: str, password: str) -> None:
    """An HTTP proxy is handed the request with the whole URL, a SOCKS proxy a name; credentials end at the proxy."""
    with run_http_server({"/a?b": echo_head}) as server, run_proxy(HOSTS, password) as proxy:
        port = proxy.port if kind == "http" else proxy.socks_port
        way = f"proxy: {{url: '{kind}://127.0.0.1:{port}'{', ' + CREDENTIALS if password else ''}}}"
        result, attempt = await run(f"http://inside.test:{server.port}/a?b", way)
        assert (result.reason, attempt.observed.get("status")) == (None, 200)
        starts = [head.partition("\r\n")[0] for head in proxy.heads]
        assert starts == ([f"GET http://inside.test:{server.port}/a?b HTTP/1.1"] if kind == "http" else [])
        assert [request.headers.get("proxy-authorization") for request in server.requests] == [None]


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
async def test_https_goes_through_a_tunnel(kind: str, ca: trustme.CA, ca_file: Path) -> None:
    """TLS is spoken with the target; the proxy is told where to, and what is to be told it alone."""
    context = server_context(valid(ca, "inside.test", "127.0.0.1"))
    with (
        run_http_server({"/": echo_head}, context=context) as server,
        run_proxy(HOSTS, PASSWORD, context if kind == "https" else None) as proxy,
    ):
        tls = f"tls_config: {{ca_file: {ca_file}}}"
        port = proxy.socks_port if kind == "socks5" else proxy.port
        more = f", {tls}" if kind == "https" else ""
        way = f"proxy: {{url: '{kind}://127.0.0.1:{port}', {CREDENTIALS}{more}}}, proxy_connect_headers: {{X-Way: a}}"
        result, attempt = await run(f"https://inside.test:{server.port}/", f"{tls}, {way}")
        assert (result.reason, attempt.observed["status"]) == (None, 200)
        assert ["X-Way: a" in head for head in proxy.heads] == ([] if kind == "socks5" else [True])
        assert "x-way" not in server.requests[0].headers


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_credentials_is_an_auth_failure(scheme: str) -> None:
    """407 is the proxy's, never the target's status."""
    with run_proxy(HOSTS, PASSWORD) as proxy:
        result, _ = await run(f"{scheme}://inside.test:9/", f"proxy: 'http://127.0.0.1:{proxy.port}'")
        assert (result.reason, result.detail) == ("auth", "the proxy demands a user name and password (407)")


async def test_a_redirect_past_the_proxy_takes_no_proxy() -> None:
    """Each hop has the way its URL has."""
    with run_http_server({"/": respond(200)}) as server, run_proxy(HOSTS) as proxy:
        with run_http_server({"/": redirect(server.url("/"))}) as first:
            way = f"proxy: 'http://127.0.0.1:{proxy.port}', no_proxy: [127.0.0.1]"
            _, attempt = await run(f"http://inside.test:{first.port}/", way)
        assert (attempt.observed["status"], len(proxy.heads), len(server.requests)) == (200, 1, 1)


async def test_the_environment_names_proxies_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting a poisoned environment changes nothing."""
    with run_http_server({"/": respond(200)}) as server, run_proxy(HOSTS) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        seen = []
        for asked in ("false", "true"):
            await run(server.url(), f"proxy_from_environment: {asked}")
            seen.append(len(proxy.heads))
        assert seen == [0, 1]
