"""HTTP checks through proxies and with basic and digest authentication, against correct and faulty servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.attempt import begin_attempt
from exporter.checks.http import HTTP, HttpCheckExecutor
from exporter.config.load import parse_config
from exporter.http.shared import HttpShared
from tests.servers.certificates import server_context, valid
from tests.servers.digest import answer_fields, demand_digest
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
    """Execute one check as a user writes it, and make sure that no text contains the password."""
    text = f"checks: [{{name: it, type: http, target: '{target}', {keys}}}]"
    config = parse_config(text, "checks.yml", {"http": HTTP})
    assert PASSWORD not in config.rendered
    attempt = begin_attempt()
    result = await HttpCheckExecutor(shared=HttpShared()).execute(config.checks[0])
    assert PASSWORD not in repr((result, attempt.log))
    return result, attempt


NONCE = 'realm="r", nonce="n"'


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])
@pytest.mark.parametrize("qop", ["", ", qop=auth", ', qop="auth"', ', qop="auth-int, auth"', ', qop="AUTH-INT"'])
async def test_digest_authentication_is_answered(algorithm: str, qop: str) -> None:
    """A challenge costs one more request, which does not count as a redirect."""
    challenge = f'Digest realm="r", nonce="n0nce", algorithm={algorithm}, opaque="o"{qop}'
    act = demand_digest(challenge, password=PASSWORD, algorithm=algorithm, body=b"content")
    with run_http_server({"/a?b=c": act}) as server:
        result, attempt = await run(server.url("/a?b=c"), f"{DIGEST}, method: POST, body: content")
        assert (result.reason, attempt.observed["status"], attempt.observed["redirects"]) == (None, 200, 0)
        assert [set(answer_fields(request)) - {"qop", "nc", "cnonce"} for request in server.requests] == [
            set(),
            {"username", "realm", "nonce", "uri", "algorithm", "response", "opaque"},
        ]


@pytest.mark.parametrize(
    ("challenges", "expected"),
    [
        ((f"Digest {NONCE}",), {}),
        ((f"digest {NONCE}",), {}),
        ((f'Basic realm="r, Digest x", Digest {NONCE}',), {}),
        (('Basic realm="r"', f"Digest {NONCE}"), {}),
        (("NTLM, Negotiate", f"Digest {NONCE}"), {}),
        ((f"Negotiate YWJj==, Digest {NONCE}, Bearer",), {}),
        ((f"Digest {NONCE}, algorithm=SHA-1024", f"Digest {NONCE}, algorithm=SHA-256"), {"algorithm": "SHA-256"}),
        ((f"Digest {NONCE}, algorithm=NEW, Digest {NONCE}",), {}),
        ((f"Digest {NONCE}, algorithm=md5-Sess, qop=auth",), {"algorithm": "MD5-sess"}),
        ((f'Digest {NONCE}, algorithm="MD5"',), {}),
        ((f"Digest {NONCE}, qop=auth,auth-int",), {}),
        ((f'Digest {NONCE}, qop="unknown,auth"',), {}),
        ((f'Digest {NONCE}, qop=""',), {}),
        (('Digest realm = "r" ,nonce= n,  opaque=""',), {}),
        (('Digest realm=r,nonce="n',), {}),
        (('Digest realm=, nonce="n"',), {"realm": ""}),
        (("Digest realm, nonce=..",), {"realm": ""}),
        (('Digest nonce="n"',), {"realm": ""}),
        (('Digest realm="a \\"b\\" \\\\ c, d=e", nonce="n"',), {"realm": 'a "b" \\ c, d=e'}),
        (('Digest realm="Köln", nonce="n"',), {"realm": "Köln"}),
        (('Digest realm="Köln", nonce="n", charset=UTF-8, userhash=true',), {"realm": "Köln"}),
        (('Digest realm="r", nonce="\\"", opaque="\\\\"',), {}),
    ],
)
async def test_challenges_are_read_in_any_notation(challenges: tuple[str, ...], expected: dict[str, Any]) -> None:
    """They may be in one field or several, beside other schemes, quoted or not, with missing and unknown parameters."""
    with run_http_server({"/": demand_digest(*challenges, password=PASSWORD, **expected)}) as server:
        result, attempt = await run(server.url(), DIGEST)
        assert (result.reason, attempt.observed["status"], len(server.requests)) == (None, 200, 2)


async def test_skipped_challenges_are_logged() -> None:
    """The log names the algorithm of a stronger challenge that was not answered."""
    challenges = (f"Digest {NONCE}, algorithm=SHA-1024", f"Digest {NONCE}, algorithm=SHA-256")
    act = demand_digest(*challenges, password=PASSWORD, algorithm="SHA-256")
    with run_http_server({"/": act}) as server:
        result, attempt = await run(server.url(), DIGEST)
        notes = [line.fields for line in attempt.log if line.message == "passed over a digest challenge"]
        assert (result.reason, notes) == (None, [{"why": "its algorithm is SHA-1024"}])


@pytest.mark.parametrize("username", ["jörg", 'a"b\\c', "a, b=c", "名", "a b"])
@pytest.mark.parametrize("more", ["", ", charset=UTF-8", ", charset=UTF-8, userhash=true", ", userhash=true, qop=auth"])
async def test_any_user_can_be_named(username: str, more: str) -> None:
    """The name is sent as octets, in the extended notation for UTF-8, or as a hash, as the server wishes."""
    act = demand_digest(f"Digest {NONCE}{more}", password=PASSWORD, username=username)
    with run_http_server({"/": act}) as server:
        keys = f"digest_auth: {{username: {json.dumps(username)}, password: {PASSWORD}}}"
        result, attempt = await run(server.url(), keys)
        assert (result.reason, attempt.observed["status"]) == (None, 200)
        extended = "charset" in more and "userhash" not in more and not username.isascii()
        assert ("username*" in answer_fields(server.requests[1])) == extended


@pytest.mark.parametrize("stale", ["true", '"TRUE"'])
async def test_a_stale_nonce_is_replaced_once(stale: str) -> None:
    """A second challenge is answered only if the nonce was too old; a third one is the response to judge."""
    with run_http_server({"/": respond(401, b"", [("WWW-Authenticate", f"Digest {NONCE}, stale={stale}")])}) as server:
        result, attempt = await run(server.url(), DIGEST)
        assert (result.reason, attempt.observed["status"], len(server.requests)) == (None, 401, 3)


async def test_the_nonce_is_used_again_after_a_redirect() -> None:
    """The next request of the origin carries an answer at once, with a higher count."""
    challenge = f"Digest {NONCE}, qop=auth"
    script: dict[str, Act] = {"/in": demand_digest(challenge, password=PASSWORD)}

    def act(connection: socket.socket, request: Request) -> None:
        sends_on = "authorization" in request.headers
        (redirect("/in") if sends_on else respond(401, b"", [("WWW-Authenticate", challenge)]))(connection, request)

    script["/"] = act
    with run_http_server(script) as server:
        _, attempt = await run(server.url(), DIGEST)
        assert (attempt.observed["status"], attempt.observed["redirects"]) == (200, 1)
        assert [answer_fields(request).get("nc") for request in server.requests] == [None, "00000001", "00000002"]


async def test_a_challenge_can_set_a_cookie() -> None:
    """The request that answers the challenge sends it, and so does the request after a redirect."""
    challenge = [("WWW-Authenticate", f"Digest {NONCE}"), ("Set-Cookie", "städt=Köln")]

    def act(connection: socket.socket, request: Request) -> None:
        sends_on = "authorization" in request.headers
        (redirect("/in") if sends_on else respond(401, b"", challenge))(connection, request)

    with run_http_server({"/": act, "/in": respond()}) as server:
        _, attempt = await run(server.url(), DIGEST)
        assert attempt.observed["status"] == 200
        assert [request.headers.get("cookie") for request in server.requests] == [None, "städt=Köln", "städt=Köln"]


async def test_a_digest_that_is_not_accepted_is_left_to_the_expectation() -> None:
    """The second 401 is the response to judge, so there is no endless loop."""
    with run_http_server({"/": respond(401, b"", [("WWW-Authenticate", 'Digest realm="r", nonce="n"')])}) as server:
        result, attempt = await run(server.url(), DIGEST)
        assert (result.reason, attempt.observed["status"], len(server.requests)) == (None, 401, 2)


@pytest.mark.parametrize(
    ("challenges", "why"),
    [
        (("Digest realm=r",), "it has no nonce"),
        (("Digest",), "it has no nonce"),
        (('Digest realm="r", nonce=""',), "it has no nonce"),
        ((f"Digest {NONCE}, algorithm=X",), "its algorithm is X"),
        ((f"Digest {NONCE}, algorithm=",), "its algorithm is none that has a name"),
        ((f"Digest {NONCE}, algorithm=SHA, Digest", f"Digest {NONCE}, algorithm=SHA-1024-sess"),
         "its algorithm is SHA; it has no nonce; its algorithm is SHA-1024-sess"),
        ((f"Digest {NONCE}, algorithm={'a' * 40}",), "its algorithm is none that has a name"),
        ((f"Digest {NONCE}, qop=auth-conf",), "it asks for neither qop auth nor auth-int"),
    ],
)  # fmt: skip
async def test_a_challenge_that_cannot_be_answered_is_an_auth_failure(challenges: tuple[str, ...], why: str) -> None:
    """The failure says what is wrong with each challenge."""
    fields = [("WWW-Authenticate", challenge) for challenge in challenges]
    with run_http_server({"/": respond(401, b"", fields)}) as server:
        result, _ = await run(server.url(), DIGEST)
        detail = f"the server's digest challenge cannot be answered: {why}"
        assert (result.reason, result.detail) == ("auth", detail)


@pytest.mark.parametrize("challenge", ['Basic realm="r"', "Negotiate", "", "Digestive nonce=x", 'realm="Digest"'])
async def test_without_a_digest_challenge_401_is_the_answer(challenge: str) -> None:
    """These credentials are used only for digest authentication."""
    with run_http_server({"/": respond(401, b"", [("WWW-Authenticate", challenge)])}) as server:
        result, attempt = await run(server.url(), DIGEST)
        assert (result.reason, attempt.observed["status"], len(server.requests)) == (None, 401, 1)


async def test_no_other_origin_receives_a_digest() -> None:
    """A redirect to another origin, and back from it, ends with 401."""
    with (
        run_http_server({"/": demand_digest(f"Digest {NONCE}", password=PASSWORD)}) as other,
        run_http_server({}) as server,
    ):
        with run_http_server({"/": redirect(other.url("/"))}) as home:
            _, attempt = await run(home.url(), DIGEST)
        assert (attempt.observed["status"], attempt.observed["redirects"]) == (401, 1)
        assert (["authorization" in request.headers for request in other.requests], server.requests) == ([False], [])


@pytest.mark.parametrize("server", ["plain", "tls"])
@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("wrong", 401), (None, 401)])
async def test_nginx_accepts_only_the_right_password(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path, tmp_path: Path,
    server: str, password: str | None, status: int,
) -> None:  # fmt: skip
    """With auth_basic, the user and its password get the page and all others get 401, over HTTP/1.1 and 2."""
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
    """An HTTP proxy gets the request with the whole URL, a SOCKS proxy a name; credentials go only to the proxy."""
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
    """TLS is between the check and the target; only the proxy receives its own credentials and headers."""
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
    """407 is the proxy's status, never the target's."""
    with run_proxy(HOSTS, PASSWORD) as proxy:
        result, _ = await run(f"{scheme}://inside.test:9/", f"proxy: 'http://127.0.0.1:{proxy.port}'")
        assert (result.reason, result.detail) == ("auth", "the proxy demands a user name and password (407)")


async def test_each_hop_of_a_redirect_has_its_own_route() -> None:
    """Each hop is routed as its own URL requires."""
    with run_http_server({"/": respond(200)}) as server, run_proxy(HOSTS) as proxy:
        with run_http_server({"/": redirect(server.url("/"))}) as first:
            way = f"proxy: 'http://127.0.0.1:{proxy.port}', no_proxy: [127.0.0.1]"
            _, attempt = await run(f"http://inside.test:{first.port}/", way)
        assert (attempt.observed["status"], len(proxy.heads), len(server.requests)) == (200, 1, 1)


async def test_the_environment_names_proxies_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting, proxies in the environment change nothing."""
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
