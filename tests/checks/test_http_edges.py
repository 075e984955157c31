"""What servers, names and users can send through httpx, idna and codecs: a request or the right reason.

Nothing ends as `internal` or with a traceback, and no text contains a credential, digest, token or cookie.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.attempt import begin_attempt
from exporter.checks.http import HTTP, HttpCheckExecutor
from exporter.config.load import parse_config
from exporter.model import Reason, ResultStatus
from tests.checks.running import warm_runner
from tests.servers.http import Always, answered, run_http_server
from tests.servers.nginx import TLS_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.attempt import Attempt
    from exporter.model import Check, Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import HttpServer
    from tests.servers.nginx import CertificateFiles, Nginx

CANARY = "s3cr3t-CANARY"
NUMBERS = count()
SECRETS = re.compile(
    r"CANARY|response=\W?[0-9a-f]{8}|cnonce=\W?[0-9a-f]{8}|Traceback|(?:Basic|Bearer) [A-Za-z0-9+/=]{8}"
)
DIGEST = f"digest_auth: {{username: jörg, password: {CANARY}}}"
ALLOWED = {None, Reason.AUTH, Reason.PROTOCOL, Reason.REDIRECT, Reason.STATUS, Reason.RESOLVE, Reason.TOO_LARGE}


class World:
    """A runner and a server that is a proxy for every name; lives as long as the module's tests."""

    def __init__(self, runner: AsyncCheckRunner, server: HttpServer, script: Always) -> None:
        self.server = server
        self._runner = runner
        self._script = script

    def run(self, target: str, keys: str, *answers: bytes) -> Result:
        """Run a check against these answers."""
        self.server.requests.clear()
        self._script.answers = list(answers)
        way = f"proxy: '{self.server.url().rstrip('/')}'"
        text = f"checks: [{{name: it, type: http, target: {json.dumps(target)}, timeout: 20s, {way}, {keys}}}]"
        results: list[Result] = []
        self._runner.run_all(parse_config(text, "checks.yml", {"http": HTTP}).checks, results.append)
        return results[0]


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """One for all tests."""
    with warm_runner(HTTP) as runner:
        yield runner


@pytest.fixture(scope="module")
def world(runner: AsyncCheckRunner) -> Iterator[World]:
    """One for all tests."""
    script = Always()
    with run_http_server(script) as server:
        yield World(runner, server, script)


@contextmanager
def nothing_told(caplog: pytest.LogCaptureFixture) -> Iterator[list[Result]]:
    """Check every text of the results in the list, and the program's log."""
    results: list[Result] = []
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="exporter"):
        yield results
    told = [repr(result) for result in results]
    told += [f"{record.getMessage()} {record.exc_info or ''}" for record in caplog.records]
    assert [text for text in told if SECRETS.search(text)] == []
    assert [result.detail for result in results if result.reason is Reason.INTERNAL] == []


OK = answered(200)


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("xn--ls8h.test", "xn--ls8h.test"),
        ("XN--LS8H.test", "xn--ls8h.test"),
        ("xn--a.test", "xn--a.test"),
        ("xn--0.xn--0.test", "xn--0.xn--0.test"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("a_b.test", "a_b.test"),
        ("xn--ls8h.test.", "xn--ls8h.test."),
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
def test_names_in_ascii_are_sent_as_they_are(
    world: World, caplog: pytest.LogCaptureFixture, host: str, sent: str, redirected: bool
) -> None:
    """As a target and after a redirect, an A-label is sent as it is, even if it cannot be decoded."""
    with nothing_told(caplog) as results:
        target, location = ("http://a.test/", f"http://{host}/in") if redirected else (f"http://{host}/", "/in")
        results.append(world.run(target, "", answered(302, f"Location: {location}?x={CANARY}".encode()), OK))
    assert results[0].reason is None
    last = world.server.requests[-1]
    assert (last.path, last.headers["host"]) == (f"http://{sent}/in?x={CANARY}", sent)


@pytest.mark.parametrize(
    ("host", "sent"),
    [("xn--ls8h.test", "xn--ls8h.test"), ("☃.test", "xn--n3h.test"), ("bücher.test", "xn--bcher-kva.test")],
)
def test_a_token_endpoint_is_named_as_any_other_host(
    world: World, caplog: pytest.LogCaptureFixture, host: str, sent: str
) -> None:
    """Its URL is read like that of a target."""
    token = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"access_token":"CANARY"}'
    keys = f"oauth2: {{client_id: me, client_secret: {CANARY}, token_url: 'http://{host}/token'}}"
    with nothing_told(caplog) as results:
        results.append(world.run("http://a.test/", keys, token, OK))
    assert results[0].reason is None
    assert [request.path for request in world.server.requests] == [f"http://{sent}/token", "http://a.test/"]


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        (b"city=K\xc3\xb6ln-CANARY", b"city=K\xc3\xb6ln-CANARY"),
        (b"city=K\xf6ln-CANARY", b"city=K\xf6ln-CANARY"),
        (b"city=CANARY; Expires=Xxx, 99-Foo-9999 99:99:99", b"city=CANARY"),
        (b"city=CANARY; Expires=Wed, 31 Feb 2098 00:00:00 GMT", b"city=CANARY"),
        (b"city=CANARY; Max-Age=" + b"9" * 5000, b"city=CANARY"),
        (b'city=CANARY; Version=x; Port="y"; Comment=\xff', b"city=CANARY"),
        (b"city=CANARY; Domain=\xff\xfe", None),
        (b"city=CANARY; Path=\xff", b"city=CANARY"),
        (b"city=" + b"CANARY" * 2000, None),
        (b"CANARY", None),
        (b"=", None),
        (b"\xff\xfe=CANARY", b"\xff\xfe=CANARY"),
    ],
)  # fmt: skip
def test_cookies_of_a_redirect_survive(
    world: World, caplog: pytest.LogCaptureFixture, cookie: bytes, sent: bytes | None
) -> None:
    """They may consist of any octets, and appear beside credentials that are not ASCII."""
    with nothing_told(caplog) as results:
        keys = f"headers: {{Authorization: 'Grüße {CANARY}', Cookie: 'mein=ö'}}"
        redirected = answered(302, b"Location: /in", b"Set-Cookie: " + cookie)
        results.append(world.run("http://a.test/", keys, redirected, OK))
    assert results[0].reason is None
    head = world.server.requests[1].head
    configured = "mein=ö".encode()
    assert f"Authorization: Grüße {CANARY}".encode() in head
    assert re.findall(rb"(?i)^cookie: ([^\r]*)", head, re.MULTILINE) == [
        configured if sent is None else configured + b"; " + sent
    ]


@pytest.mark.parametrize(
    "field",
    [
        b'Digest realm="K\xc3\xb6ln", nonce="n"', b'Digest realm="K\xf6ln", nonce="n"', b'Digest realm=, nonce="n"',
        b'Digest realm="r", nonce="n", algorithm=', b"Digest realm, nonce=..", b"Digest", b"Digest ,", b"Digest =",
        b'Digest realm="r", nonce="', b'Digest realm="\\', b'Digest realm="r", nonce="n", qop', b"\xff\xfe", b"",
        b'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-512-256-sess, opaque="\xff", userhash=true',
        b'Digest realm="r", nonce="n", charset=UTF-8', b'Digest realm="r", nonce="\xed\xa0\x80"',
        b'Digest realm="r", nonce="n", stale=true', b'Basic realm="\xff", Digest realm="r", nonce="n"',
        b'Digest realm="r", nonce="' + b"n" * 30000 + b'"', b'Digest realm="r", nonce="n", algorithm=' + b"a" * 30000,
        b'Digest realm="r", nonce="n", domain="http://\xff/", qop=auth-int',
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), (b"Set-Cookie: a=\xf6 CANARY", b"Content-Encoding: zstd", b"Content-Type: \xff")])
def test_a_challenge_is_answered_or_an_auth_failure(
    world: World, caplog: pytest.LogCaptureFixture, field: bytes, more: tuple[bytes, ...]
) -> None:
    """This holds for user names beyond ASCII and for challenges in any octets."""
    with nothing_told(caplog) as results:
        challenged = answered(401, b"WWW-Authenticate: " + field, *more)
        results.append(world.run("http://a.test/", DIGEST, challenged, OK))
    sent = [b"\r\nAuthorization: Digest " in request.head for request in world.server.requests]
    assert (results[0].reason, sent) in [
        (None, [False, True]),
        (Reason.AUTH, [False]),
        (Reason.STATUS, [False]),
    ]


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Length: 9" * 1, b"Content-Length: " + b"9" * 5000, b"Content-Length: \xd9\xa3", b"Content-Length: -1",
        b"Content-Length: 0x10", b"Content-Length: 1_0", b"Content-Type: \xff; charset=\xff", b"\xff: \xff",
        b"Last-Modified: \xff", b"Last-Modified: Mon, 99 Xxx 99999 99:99:99 +9999", b"Content-Encoding: \xff",
        b"Location: " + b"x" * 60000, b"Location:", b"Location: \xff", b"Set-Cookie: " + b"x" * 60000,
        b"X" * 60000 + b": a", b"WWW-Authenticate: " + b"x" * 60000, b"Transfer-Encoding: \xff", b"Date: \xff",
        b"Set-Cookie CANARY", b"Set-Cookie: a=CANARY\x00", b"Set-Cookie: a=CANARY\x01", b"Set-Cookie: a\r\n CANARY",
        b"Set-Cookie : a=CANARY", b" Set-Cookie: a=CANARY", b"Set-Cookie\x00: a=CANARY", b"Set-Cookie: a=CANARY\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 302, 401])
def test_no_field_ends_as_internal(world: World, caplog: pytest.LogCaptureFixture, field: bytes, status: int) -> None:
    """Examples are fields that are converted to numbers, dates, names or URLs."""
    with nothing_told(caplog) as results:
        first = b"HTTP/1.1 %d Said\r\nX-Trace: CANARY\r\n%s\r\n\r\n" % (status, field)
        results.append(world.run("http://a.test/", DIGEST, first, OK))
    assert results[0].reason in ALLOWED | {Reason.DECODE}


def test_a_secret_that_the_server_repeats_is_not_shown(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The location of a redirect is shown without its query, and in an error also without its user."""
    with nothing_told(caplog) as results:
        for location in (
            b"/in?CANARY",
            b"ftp://CANARY@x/",
            b"http://a:CANARY@x/",
            b"http://x:y/?CANARY",
            b"/\x01?CANARY",
        ):
            results.append(world.run("http://a.test/", "", answered(302, b"Location: " + location), OK))
    assert [result.status for result in results] == [ResultStatus.OK] + [ResultStatus.ERROR] * 4


def test_octets_are_sent_over_http2_as_well(
    runner: AsyncCheckRunner, start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """Cookies, user names and configured values may be headers that HTTP/2 cannot show as text."""
    places = """
        location = / { add_header Set-Cookie "city=Köln-CANARY" always; return 302 /in; }
        location = /in { add_header WWW-Authenticate 'Digest realm="Köln", nonce="n"' always; add_header X-Given
            "$http_cookie $http_authorization $http_x_city" always; return 401; }
    """
    http = TLS_SERVER.replace("ssl backlog", "ssl http2 backlog").replace(
        'location / { return 200 "hello\\n"; }', places
    )
    nginx = start_nginx(http, certificate=certificate)
    keys = f"{DIGEST}, headers: {{X-City: Köln}}, tls_config: {{ca_file: {ca_file}}}"
    given = 'city=Köln-CANARY Digest username="jörg", realm="Köln", nonce="n", uri="/in", response="'
    expected = json.dumps([{"status": 401}, {"http_version": "2"}, {"header": "X-Given", "contains": given}])
    text = f"checks: [{{name: it, type: http, target: '{nginx.tls_url()}', {keys}, expect: {expected}}}]"
    results: list[Result] = []
    runner.run_all(parse_config(text, "checks.yml", {"http": HTTP}).checks, results.append)
    assert (results[0].reason, results[0].detail) == (None, "")


@pytest.mark.parametrize(
    ("keys", "answers", "reason"),
    [
        ("", [answered(302, b"Location: /in", "Set-Cookie: city=Köln-CANARY".encode()), OK], Reason.PROTOCOL),
        (DIGEST, [answered(401, 'WWW-Authenticate: Digest realm="Köln", nonce="n"'.encode()), OK], None),
        (DIGEST, [answered(401, b"WWW-Authenticate: Digest realm")], Reason.AUTH),
        ("", [answered(302, b"Location: http://xn--ls8h.invalid/?CANARY")], Reason.PROTOCOL),
        (f"headers: {{X-Key: '{CANARY} '}}", [OK], Reason.PROTOCOL),
        ("", [b"HTTP/1.1 200 OK\r\nSet-Cookie CANARY\r\n\r\n"], Reason.PROTOCOL),
        ("", [b"CANARY\r\n\r\n"], Reason.PROTOCOL),
        ("", [answered(200, b"Content-Type: \xff; charset=\xff", b"Set-Cookie: \xff=CANARY; Expires=\xff")], None),
    ],
)
def test_another_httpx_client_causes_no_internal_failure(
    caplog: pytest.LogCaptureFixture, keys: str, answers: list[bytes], reason: Reason | None
) -> None:
    """Its exceptions about names, fields and cookies fail the check, and none of these are quoted."""
    script = Always()
    script.answers = answers

    async def execute(check: Check) -> tuple[Result, Attempt]:
        async with httpx.AsyncClient(trust_env=False) as client:
            attempt = begin_attempt()
            return await HttpCheckExecutor(client).execute(check), attempt

    with run_http_server(script) as server, nothing_told(caplog) as results:
        text = f"checks: [{{name: it, type: http, target: '{server.url()}', {keys}}}]"
        result, attempt = asyncio.run(execute(parse_config(text, "checks.yml", {"http": HTTP}).checks[0]))
        results.append(replace(result, log=tuple(attempt.log)))
    assert results[0].reason == reason


PIECES = st.sampled_from(
    [
        b"Digest ", b"Basic ", b"digest", b"realm", b"nonce", b"qop", b"algorithm", b"opaque", b"stale", b"userhash",
        b"charset", b"=", b'"', b"\\", b",", b";", b" ", b"\t", b"auth", b"auth-int", b"MD5", b"SHA-256-sess", b"true",
        b"UTF-8", b"http:", b"https:", b"//", b"/", b"?", b"#", b"@", b":", b"[", b"]", b"%", b"%25", b"%00", b"..",
        b"xn--", b"xn--ls8h", b"127.0.0.1", b"::1", b"fe80::1%25lo", b"a.test", b"\xc3\xb6", b"\xf6", b"\xe2\x98\x83",
        b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9", b"\xe3\x80\x82", b"\xef\xbc\x90", b"0", b"80", b"99999", b"a", b"\x7f",
        b"Domain=", b"Path=", b"Expires=", b"Max-Age=", b"Secure", b"Thu, 01 Jan 2099 00:00:00 GMT", b"__Host-", b"-",
    ]
)  # fmt: skip
OCTETS = st.lists(PIECES | st.binary(max_size=3), max_size=14).map(
    lambda pieces: re.sub(rb"[\r\n\0]", b"", b"".join(pieces))
)
FIELDS = st.tuples(
    st.sampled_from([b"Location", b"Set-Cookie", b"WWW-Authenticate", b"Content-Type", b"Last-Modified"]), OCTETS
)
KEYS = st.sampled_from(
    [
        "", DIGEST, f"basic_auth: {{username: jörg, password: {CANARY}}}", f"bearer_token: {CANARY}",
        f"headers: {{X-Api-Key: 'ö{CANARY}', Host: b.test}}", f"{DIGEST}, method: POST, body: ö",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=KEYS,
    answers=st.lists(st.tuples(st.sampled_from([302, 307, 401, 200]), st.lists(FIELDS, max_size=4)), max_size=4),
)
@example(
    keys=DIGEST,
    answers=[(401, [(b"WWW-Authenticate", b'Digest realm="\xf6", nonce=n')]), (302, [(b"Location", b"\xf6")])],
)
def test_any_response_has_an_outcome(
    world: World,
    caplog: pytest.LogCaptureFixture,
    keys: str,
    answers: list[tuple[int, list[tuple[bytes, bytes]]]],
) -> None:
    """Whatever octets the fields contain that decide the next step, no check ends as `internal` or reveals a secret."""
    wire = [
        answered(status, b"Set-Cookie: mine=CANARY; Path=/", *(b"%s: %s" % field for field in fields))
        for status, fields in answers
    ]
    with nothing_told(caplog) as results:
        results.append(world.run("http://a.test/x", keys, *wire, OK))
    assert results[0].reason in ALLOWED


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(
        st.sampled_from(["access_token", "token_type", "expires_in", "error", "error_description", "scope"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(["a"]) | st.just({}),
    ).map(lambda known: json.dumps(known).encode())
    | OCTETS,
    status=st.sampled_from([200, 201, 204, 302, 400, 401, 500]),
)
def test_any_answer_of_a_token_endpoint_has_an_outcome(
    world: World, caplog: pytest.LogCaptureFixture, body: bytes, status: int
) -> None:
    """The outcome is a token that can be sent, or a failure with reason `auth`."""
    token = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + (b"" if status == 204 else body)
    endpoint = f"http://t.test/{next(NUMBERS)}"  # tokens are kept, and a kept one would be used in the next example
    keys = f"oauth2: {{client_id: jörg, client_secret: {CANARY}, token_url: '{endpoint}'}}"
    with nothing_told(caplog) as results:
        results.append(world.run("http://a.test/", keys, token, OK))
    assert results[0].reason in (None, Reason.AUTH)
