"""Types `http` and `json-http` as users write them, against servers that answer well and badly."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.attempt import begin_attempt, current_attempt
from exporter.checks.http import HTTP, JSON_HTTP, HttpCheckExecutor
from exporter.config.load import parse_config
from exporter.errors import ConfigError
from exporter.http.client import ProbeClient
from exporter.http.message import USER_AGENT
from exporter.http.settings import HttpSettings
from exporter.http.shared import HttpShared
from exporter.model import Check, Reason, ResultStatus
from tests.checks.running import measured, warm_runner
from tests.http.http_shapes import ODD
from tests.servers.certificates import expired, server_context, valid
from tests.servers.http import (
    drip,
    echo_head,
    encoded,
    endless,
    gzip_bomb,
    gzipped,
    hold,
    raw,
    redirect,
    reset_after,
    respond,
    run_http_server,
)
from tests.servers.nginx import TLS_SERVER
from tests.servers.sockets import sockets_to
from tests.servers.tcp import closed_port, deaf_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.attempt import Attempt
    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import Act
    from tests.servers.nginx import CertificateFiles, Nginx

TYPES = {"http": HTTP, "json-http": JSON_HTTP}
SECRET = "s3cr3t-CANARY"
BASIC = "Basic " + base64.b64encode("mü:p:w".encode()).decode()


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows both types and whose loop stays warm."""
    with warm_runner(*TYPES.values()) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its target and its YAML keys."""

    def run_one(target: str, keys: str = "", *, check_type: str = "http", timeout: str = "30s") -> Result:
        results: list[Result] = []
        runner.run_all(configured(target, keys, check_type=check_type, timeout=timeout), results.append)
        return results[0]

    return run_one


def configured(target: str, keys: str = "", *, check_type: str = "http", timeout: str = "30s") -> tuple[Check, ...]:
    """The checks of a configuration with one check in it."""
    text = f'checks: [{{name: it, type: {check_type}, target: "{target}", timeout: {timeout}, {keys}}}]'
    return parse_config(text, "checks.yml", TYPES).checks


def refusal(target: str, keys: str = "") -> list[str]:
    """What is wrong with such a configuration."""
    with pytest.raises(ConfigError) as raised:
        configured(target, keys)
    return [f"{problem.path}: {problem.message}" for problem in raised.value.problems]


async def execute(act: Act, *, check_type: str = "http", **settings: object) -> tuple[Result, Attempt]:
    """Execute one check without a runner; return its result with what it observed and measured."""
    with run_http_server({"/": act}) as server:
        check = Check(
            name="it", check_type=check_type, target=server.url(), settings=HttpSettings.model_validate(settings)
        )
        attempt = begin_attempt()
        async with asyncio.timeout(30):
            return await HttpCheckExecutor(shared=HttpShared()).execute(check), attempt


PLAIN = respond(
    200,
    b'{"status": "ok", "queue": {"depth": 5}}',
    [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_response_is_accepted_unless_well_formed_is_expected(run: Callable[..., Result], name: str) -> None:
    """An odd response is up and its log says what is odd; `well_formed: true` fails, as strict parsing would."""
    sent, oddities = ODD[name]
    with run_http_server({"/": raw(sent)}) as server:
        taken = run(server.url())
        refused = run(server.url(), "expect: [{well_formed: true}]")
        wanted = run(server.url(), "expect: [{well_formed: false}]")
    what = "; ".join(oddities)
    assert [line.fields for line in taken.log if line.message == "not well-formed"] == [{"what": what}]
    assert (taken.status, wanted.status, refused.status) == (ResultStatus.OK, ResultStatus.OK, ResultStatus.ERROR)
    assert (refused.reason, refused.detail.partition(", ")[2]) == (Reason.PROTOCOL, f"observed false ({what})")


def test_every_response_of_a_run_must_be_well_formed(run: Callable[..., Result]) -> None:
    """A redirect with an odd head counts, just like the response it leads to."""
    odd = raw(b"HTTP/1.1 302 Found\nLocation: /there \nServer: a\n b\n\n")
    with run_http_server({"/": odd, "/there": respond(200, b"hi")}) as server:
        result = run(server.url(), "expect: [{well_formed: true}, {url: {matches: '/there$'}}]")
    assert result.detail.partition(", ")[2] == "observed false (bare LF; folded value in Server)"
    assert [outcome.ok for outcome in result.expectations if outcome.expectation.subject.name == "url"] == [True]


def test_blanks_at_the_ends_of_values_are_ignored(run: Callable[..., Result]) -> None:
    """Blanks after a value affect neither a Location, nor a length, nor an expectation about a field."""
    there = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2 \r\nX: up \r\nContent-Type:\ttext/plain \r\n\r\nhi")
    with run_http_server({"/": redirect("/final  "), "/final": there}) as server:
        result = run(server.url(), "expect: [{header: X, eq: [up]}, {well_formed: true}, {body: hi}]")
        asked = [request.path for request in server.requests]
    assert (result.detail, asked, measured(result)["probe_http_content_length"]) == ("", ["/", "/final"], 2)


def test_an_incomplete_response_is_not_judged_as_well_formed(run: Callable[..., Result]) -> None:
    """Its missing part could be odd, so it is not called well-formed."""
    with run_http_server({"/": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")}) as server:
        result = run(server.url(), "expect: [{well_formed: true}]")
    judged = [one for one in result.expectations if one.expectation.subject.name == "well_formed"]
    assert [(one.ok, one.evaluated) for one in judged] == [(False, False)]


@pytest.mark.parametrize(
    ("expectation", "holds"),
    [
        ("status: 2xx", True),
        ("status: [301, 404]", False),
        ("header: content-type, matches: '^application/json$'", True),
        ("header: Set-Cookie, contains: b=2", True),
        ("header: Set-Cookie, eq: [b=2, a=1]", True),
        ("header: X-None, exists: false", True),
        ("header: X-None, matches: x", False),
        ("body: {contains: depth}", True),
        ("body: {not_matches: error|fatal}", True),
        ("body: {matches: '^no'}", False),
        ("body_size: 39", True),
        ("json: $.status, eq: ok", True),
        ("json: $.queue.depth, lt: 5", False),
        ("json: $.none, exists: false", True),
        ("location: {exists: false}", True),
        ("redirects: 0", True),
        ("http_version: '1.1'", True),
        ("well_formed: true", True),
        ("url: {matches: '^http://127'}", True),
        ("certificate_days_left: {gt: 1}", False),
        ("duration: {lt: 30s}", True),
    ],
)
def test_everything_about_an_answer_can_be_expected(
    run: Callable[..., Result], expectation: str, *, holds: bool
) -> None:
    """Every subject is observed, and its expectation judged."""
    with run_http_server({"/": PLAIN}) as server:
        result = run(server.url(), f"expect: [{{{expectation}}}]")
    assert result.expectations[0].ok is holds
    assert result.status is (ResultStatus.OK if holds else ResultStatus.ERROR)


@pytest.mark.parametrize(
    ("act", "keys", "reason", "detail"),
    [
        (respond(503), "", Reason.STATUS, "expected status in 2xx, observed 503"),
        (redirect("/"), "", Reason.REDIRECT, "more than 10 redirects"),
        (redirect("/"), "max_redirects: 0", Reason.REDIRECT, "more than 0 redirects"),
        (redirect("/"), "follow_redirects: false", Reason.STATUS, "expected status in 2xx, observed 302"),
        (respond(302), "", Reason.REDIRECT, "status 302 came without a Location to follow"),
        (
            redirect("file:///etc/passwd"),
            "",
            Reason.REDIRECT,
            "the redirect leads to 'file:///etc/passwd', which is neither http nor https",
        ),
        (
            redirect("/" + "x" * (1 << 20)),
            "",
            Reason.PROTOCOL,
            "the response's head is larger than 65536 bytes",
        ),
        (
            raw(b"SSH-2.0\r\n"),
            "",
            Reason.PROTOCOL,
            "the response does not begin with HTTP/1.1 but with b'SSH-2.0\\r\\n'",
        ),
        (
            raw(b"\x15\x03\x03\x00\x02\x02\x28"),
            "",
            Reason.PROTOCOL,
            (
                "the response does not begin with HTTP/1.1 but with b'\\x15\\x03\\x03\\x00\\x02\\x02('; "
                "this is TLS, so write https"
            ),
        ),
        (raw(), "", Reason.PROTOCOL, "the server closed the connection without a response"),
        (
            reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
            "",
            Reason.CONNECTION_RESET,
            "connection reset by peer while reading the body",
        ),
        (
            respond(200, bytes(2000)),
            "body_size_limit: 1KiB",
            Reason.TOO_LARGE,
            "the body announced with 2000 bytes, which is larger than 1024 bytes",
        ),
        (
            encoded("gzip", gzip_bomb(50 << 20)),
            "",
            Reason.TOO_LARGE,
            "the decoded body is larger than 1048576 bytes",
        ),
        (
            encoded("gzip", gzipped(b"hello")[:-4]),
            "",
            Reason.DECODE,
            "the body cannot be decoded as gzip: it ends too early",
        ),
        (hold(), "", Reason.TIMEOUT, "not done within the timeout of 600 ms, in the phase processing"),
        (
            drip(b"HTTP/1.1 200 OK\r\n", b"X" * 500),
            "",
            Reason.TIMEOUT,
            "not done within the timeout of 600 ms, in the phase transfer",
        ),
        (
            drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"X" * 500),
            "",
            Reason.TIMEOUT,
            "not done within the timeout of 600 ms, in the phase transfer",
        ),
        (
            endless(b"HTTP/1.1 200 OK\r\n", b"X-n: y\r\n"),
            "",
            Reason.PROTOCOL,
            "the response's head is larger than 65536 bytes",
        ),
    ],
)
def test_a_failure_says_why(run: Callable[..., Result], act: Act, keys: str, reason: Reason, detail: str) -> None:
    """Whatever a server does, the check ends in time, with a reason and a sentence."""
    started = time.perf_counter()
    with run_http_server({"/": act}) as server:
        result = run(server.url(), keys, timeout="600ms" if reason is Reason.TIMEOUT else "30s")
    assert (result.status, result.reason, result.detail) == (ResultStatus.ERROR, reason, detail)
    assert time.perf_counter() - started < 15


def test_an_ipv6_address_is_a_host(run: Callable[..., Result]) -> None:
    """The check connects to an address in brackets, and sends it in the request as it was written."""
    with run_http_server({"/": echo_head}, "::1") as server:
        result = run(server.url(), f"expect: [{{body: {{contains: 'Host: [::1]:{server.port}'}}}}]")
    assert (result.status, result.detail) == (ResultStatus.OK, "")
    assert measured(result)["probe_ip_protocol"] == 6


def test_a_closed_port_is_not_a_response(run: Callable[..., Result]) -> None:
    """A refused connection is reported as such, and expectations about the response are not judged."""
    with closed_port() as port:
        result = run(f"http://127.0.0.1:{port}/", "expect: [{body: {contains: x}}]")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.CONNECT_REFUSED)
    assert [outcome.evaluated for outcome in result.expectations] == [False, False]


async def test_every_value_of_a_response_is_measured() -> None:
    """Every value of the response is measured, with the time of every phase."""
    modified = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
    _, attempt = await execute(encoded("gzip", gzipped(b"hello" * 100)))
    compressed = measured(attempt)
    assert compressed["probe_http_content_length"] == len(gzipped(b"hello" * 100))
    _, attempt = await execute(respond(200, b"hello", [modified]))
    values = measured(attempt)
    phases = {name: values.pop(f"probe_http_duration_seconds{{{name}}}") for name in PHASES}
    assert values.pop("probe_dns_lookup_time_seconds") == phases["resolve"]
    assert values.pop("probe_ip_addr_hash") > 0
    assert values == {
        "probe_ip_protocol": 4,
        "probe_http_redirects": 0,
        "probe_http_status_code": 200,
        "probe_http_content_length": 5,
        "probe_http_uncompressed_body_length": 5,
        "probe_http_ssl": 0,
        "probe_http_version": 1.1,
        "probe_http_last_modified_timestamp_seconds": 784111777.0,
    }
    assert compressed["probe_http_uncompressed_body_length"] == 500
    assert (phases["connect"] > 0, phases["processing"] > 0, phases["tls"]) == (True, True, 0)


PHASES = ("resolve", "connect", "tls", "processing", "transfer")


async def test_a_length_that_is_not_announced_is_unknown() -> None:
    """A body that ends with the connection has the length -1, as in blackbox_exporter."""
    _, attempt = await execute(raw(b"HTTP/1.0 200 OK\r\n\r\nhello"))
    values = measured(attempt)
    assert (values["probe_http_content_length"], values["probe_http_version"]) == (-1, 1.0)
    assert "probe_http_last_modified_timestamp_seconds" not in values


def test_series_exist_whatever_happened() -> None:
    """What a dashboard shows has a value from the start: all phases, status, length, redirects, TLS, version."""
    always = {spec.name: len(spec.defaults) for spec in HTTP.metrics if spec.defaults}
    assert always == {
        "probe_dns_lookup_time_seconds": 1,
        "probe_ip_protocol": 1,
        "probe_ip_addr_hash": 1,
        "probe_http_duration_seconds": 5,
        "probe_http_status_code": 1,
        "probe_http_content_length": 1,
        "probe_http_uncompressed_body_length": 1,
        "probe_http_redirects": 1,
        "probe_http_ssl": 1,
        "probe_http_version": 1,
        "probe_failed_due_to_regex": 1,
    }


def test_a_check_that_is_cut_off_keeps_what_it_had(run: Callable[..., Result]) -> None:
    """A timeout within the body leaves status, headers and the phases until then."""
    with run_http_server({"/": hold(b"HTTP/1.1 206 Partial\r\nContent-Length: 9\r\nX-Y: z\r\n\r\nabc")}) as server:
        expected = "expect: [{status: 206}, {header: X-Y, eq: z}, {body: {contains: a}}]"
        result = run(server.url(), expected, timeout="1s")
    values = measured(result)
    assert (result.reason, values["probe_http_status_code"]) == (Reason.TIMEOUT, 206)
    assert 0.1 < values["probe_http_duration_seconds{transfer}"] < result.duration_seconds
    assert [outcome.ok for outcome in result.expectations] == [True, True, False]
    assert result.expectations[2].evaluated is False


@pytest.mark.parametrize(
    ("expectation", "failed"),
    [
        ("body: {matches: good}", 1),
        ("body: {contains: good}", 0),
        ("header: X, matches: y", 1),
        ("header: X, exists: true", 0),
        ("all: [{header: X, exists: true}, {header: X, not_matches: y}]", 1),
        ("all: [{status: 2xx}, {body: {matches: good}}]", 0),
        ("status: 2xx", 0),
    ],
)
def test_failed_patterns_have_a_metric(run: Callable[..., Result], expectation: str, failed: int) -> None:
    """`probe_failed_due_to_regex` is 1 only if a pattern failed."""
    with run_http_server({"/": respond(503, b"bad")}) as server:
        values = measured(run(server.url(), f"expect: [{{{expectation}}}]"))
    assert values.get("probe_failed_due_to_regex", 0) == failed


def test_redirects_are_followed_and_summed(run: Callable[..., Result]) -> None:
    """The last response is judged, and the phases add up all hops."""
    script = {"/": redirect("/a"), "/a": redirect("b?x", 301), "/b?x": respond(200, b"there", [("X-Y", "z")])}
    with run_http_server(script) as server:
        keys = "expect: [{redirects: 2}, {url: {matches: '/b[?]x$'}}, {header: X-Y, eq: z}, {body: {contains: there}}]"
        result = run(server.url(), keys)
    assert (result.status, result.detail) == (ResultStatus.OK, "")
    assert [request.path for request in server.requests] == ["/", "/a", "/b?x"]
    values = measured(result)
    assert (values["probe_http_redirects"], values["probe_http_status_code"]) == (2, 200)
    redirected = [line.fields for line in result.log if line.message == "redirected"]
    assert redirected == [{"status": 302, "to": server.url("/a")}, {"status": 301, "to": server.url("/b") + "?…"}]


def test_a_redirect_can_be_what_is_expected(run: Callable[..., Result]) -> None:
    """With `follow_redirects: false`, status and Location are judged as received."""
    with run_http_server({"/": redirect("https://shop.example/", 301)}) as server:
        keys = "follow_redirects: false, expect: [{status: 301}, {location: 'https://shop.example/'}, {redirects: 0}]"
        result = run(server.url(), keys)
    assert (result.status, result.detail) == (ResultStatus.OK, "")


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ("follow_redirects: false, expect: [{location: {matches: '/new$'}}]", "3xx"),
        ("follow_redirects: false, expect: [{location: {exists: true}}]", "3xx"),
        ("follow_redirects: false, expect: [{location: {exists: true}}, {status: 201}]", "201"),
        ("follow_redirects: false, expect: [{location: {exists: false}}]", "2xx"),
        ("follow_redirects: false, expect: [{location: {ne: /new}}]", "2xx"),
        ("follow_redirects: false, expect: [{url: http://x.example/}]", "2xx"),
        ("expect: [{location: {matches: '/new$'}}]", "2xx"),
        ("follow_redirects: false", "2xx"),
    ],
)
def test_a_check_of_a_redirect_expects_its_status_by_default(keys: str, status: str) -> None:
    """If redirects are not followed and the check can only expect one, the default status is that of a redirect."""
    expectations = configured("http://x.example/", keys)[0].expectations
    assert [one.label for one in expectations if one.subject.name == "status"] == [f"status in {status}"]


@pytest.mark.parametrize(("answer", "reason"), [(redirect("/new", 308), None), (respond(200), Reason.STATUS)])
def test_a_location_is_enough_to_expect_a_redirect(
    run: Callable[..., Result], answer: Act, reason: Reason | None
) -> None:
    """A check that expects a location succeeds with any redirect to it, and fails without one."""
    with run_http_server({"/": answer}) as server:
        result = run(server.url(), "follow_redirects: false, expect: [{location: {contains: /new}}]")
    assert result.reason == reason


def test_another_origin_receives_no_secrets(run: Callable[..., Result]) -> None:
    """Cookies, credentials and the body of a check are sent only to its origin."""
    script: dict[str, Act] = {}
    with run_http_server(script) as home, run_http_server({"/": redirect("")}, "127.0.0.2") as away:
        script |= {"/": redirect(away.url(), headers=[("Set-Cookie", f"login={SECRET}")]), "/back": respond()}
        away_script = {"/": redirect(home.url("/back"))}
        with run_http_server(away_script, "127.0.0.3") as elsewhere:
            script["/"] = redirect(elsewhere.url(), headers=[("Set-Cookie", f"login={SECRET}")])
            keys = (
                f"method: POST, body: {SECRET}, basic_auth: {{username: me, password: {SECRET}}}, "
                f"headers: {{X-Api-Key: {SECRET}, Cookie: mine={SECRET}}}"
            )
            result = run(home.url(), keys)
    assert (result.status, result.detail) == (ResultStatus.OK, "")
    assert SECRET in home.requests[0].headers["x-api-key"]
    assert elsewhere.requests[0].headers == {
        "host": f"127.0.0.3:{elsewhere.url().rpartition(':')[2].rstrip('/')}",
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert (elsewhere.requests[0].method, elsewhere.requests[0].body) == ("GET", b"")
    assert "authorization" not in home.requests[1].headers
    assert home.requests[1].headers["cookie"] == f"login={SECRET}"
    assert SECRET not in repr(result.log)


def test_another_origin_receives_other_fields(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """A field is left out if its name is that of a credential or its value came from a secret; the log names it."""
    monkeypatch.setenv("VALUE", SECRET)
    names = (
        "X-Api-Key", "Api_Key", "X-Auth-Token", "X-Amz-Security-Token", "X-Client-Secret", "My-Password", "X-Auth",
        "Ocp-Apim-Subscription-Key", "X-Signature", "X-Session-Id", "X-CSRF", "Proxy-Authorization", "Cookie",
    )  # fmt: skip
    plain = {
        "User-Agent": "probe/1", "Accept": "text/html", "Accept-Language": "de", "X-Trace": "1", "Origin": "http://a",
        "Accept-Encoding": "gzip", "If-None-Match": '"x"', "Sec-WebSocket-Key": "x", "Keyboard": "qwerty",
    }  # fmt: skip
    headers = {**plain, **dict.fromkeys(names, SECRET), "X-Other": "a ${env:VALUE}", "Host": "virtual.test"}
    script = {"/": redirect("/in")}
    with run_http_server({"/": respond()}, "127.0.0.2") as away, run_http_server(script) as home:
        script["/in"] = redirect(away.url())
        result = run(home.url(), f"headers: {json.dumps(headers)}, bearer_token: {SECRET}")
    assert (result.status, result.detail) == (ResultStatus.OK, "")
    assert set(home.requests[1].headers) >= {name.lower() for name in (*headers, "Authorization")}
    assert away.requests[0].headers == {
        "host": away.url().removeprefix("http://").rstrip("/"),
        "connection": "close",
        **{name.lower(): value for name, value in plain.items()},
    }
    [line] = [line.fields for line in result.log if line.message == "left out of requests to another origin"]
    assert line == {"what": ", ".join((*names, "X-Other", "Authorization"))}
    assert SECRET not in repr(result.log)


@pytest.mark.parametrize("way", ["basic_auth", "digest_auth"])
def test_the_log_says_that_credentials_were_left_out(run: Callable[..., Result], way: str) -> None:
    """This holds for every way to configure them."""
    script: dict[str, Act] = {}
    with run_http_server({"/": respond()}, "127.0.0.2") as away, run_http_server(script) as home:
        script["/"] = redirect(away.url())
        result = run(home.url(), f"{way}: {{username: me, password: {SECRET}}}")
    assert [line.fields for line in result.log if line.message == "left out of requests to another origin"] == [
        {"what": "Authorization"}
    ]
    assert "authorization" not in away.requests[0].headers


def test_cookies_live_as_long_as_a_run(run: Callable[..., Result]) -> None:
    """A login that sets a cookie and redirects works, and the next run begins without it."""
    script = {"/": redirect("/in", headers=[("Set-Cookie", "login=1; Path=/")]), "/in": echo_head}
    with run_http_server(script) as server:
        results = [run(server.url(), "expect: [{body: {contains: 'login=1'}}]") for _ in range(2)]
    assert [result.status for result in results] == [ResultStatus.OK, ResultStatus.OK]
    assert ["cookie" in request.headers for request in server.requests] == [False, True, False, True]


def test_a_body_is_repeated_only_within_its_origin(run: Callable[..., Result]) -> None:
    """308 repeats the request to the same origin, and fails if it would take the body to another one."""
    with run_http_server({"/": respond()}, "127.0.0.2") as away:
        script = {"/": redirect("/there", 308), "/there": respond(), "/away": redirect(away.url(), 307)}
        with run_http_server(script) as home:
            within = run(home.url(), "method: PUT, body: content")
            beyond = run(home.url("/away"), "method: PUT, body: content")
    assert (within.status, beyond.reason, away.requests) == (ResultStatus.OK, Reason.REDIRECT, [])
    assert [(request.method, request.body) for request in home.requests[:2]] == [("PUT", b"content")] * 2


def test_a_downgrade_is_followed_only_on_request(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """A redirect from https to http fails the check unless that is allowed."""
    with run_http_server({"/": respond()}) as plain:
        context = server_context(valid(ca, "127.0.0.1"))
        with run_http_server({"/": redirect(plain.url())}, context=context) as secure:
            keys = f"tls_config: {{ca_file: {ca_file}}}"
            refused, allowed = run(secure.url(), keys), run(secure.url(), f"{keys}, allow_downgrade: true")
    assert (refused.reason, refused.detail) == (
        Reason.REDIRECT,
        f"the redirect leads from https to {plain.url()}; allow_downgrade would follow it",
    )
    assert allowed.status is ResultStatus.OK
    assert (measured(allowed)["probe_http_ssl"], len(plain.requests)) == (0, 1)
    assert "probe_ssl_earliest_cert_expiry" not in measured(allowed)


def test_tls_is_measured_and_judged(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """Over https, the facts of the certificate are measured, even if it was rejected."""
    keys = f"tls_config: {{ca_file: {ca_file}}}, expect: [{{certificate_days_left: {{gt: 1}}}}]"
    with run_http_server({"/": respond()}, context=server_context(valid(ca, "127.0.0.1"))) as server:
        good = run(server.url(), keys)
    with run_http_server({"/": respond()}, context=server_context(expired(ca, "127.0.0.1"))) as server:
        bad = run(server.url(), keys)
    assert (good.status, good.detail, measured(good)["probe_http_ssl"]) == (ResultStatus.OK, "", 1)
    assert measured(good)["probe_http_duration_seconds{tls}"] > 0
    assert (bad.reason, measured(bad)["probe_tls_verified"]) == (Reason.CERTIFICATE, 0)
    assert measured(bad)["probe_ssl_earliest_cert_expiry"] < time.time()
    assert [outcome.evaluated for outcome in bad.expectations] == [True, False]


def test_a_host_header_is_also_the_name_to_verify(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """`Host` names the site, for the server and for its certificate, unless `server_name` says otherwise."""
    with run_http_server({"/": echo_head}, context=server_context(valid(ca, "good.test"))) as server:
        keys = f"headers: {{Host: 'good.test:8443'}}, tls_config: {{ca_file: {ca_file}"
        named, overridden = run(server.url(), f"{keys}}}"), run(server.url(), f"{keys}, server_name: x.test}}")
    assert (named.status, overridden.reason) == (ResultStatus.OK, Reason.CERTIFICATE)
    assert server.requests[0].headers["host"] == "good.test:8443"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity", "connection": "close"}),
        ("compression: br", {"accept-encoding": "br"}),
        ("headers: {user-agent: mine, Accept: text/html}", {"user-agent": "mine", "accept": "text/html"}),
        ("headers: {X-Name: grün}", {"x-name": "grün"}),
        ("bearer_token: äbc", {"authorization": "Bearer äbc"}),
        ("basic_auth: {username: mü, password: 'p:w'}", {"authorization": BASIC}),
        ("method: post, json: {a: [1, ü]}", {"content-type": "application/json", "content-length": "14"}),
        ("json: null", {"content-type": "application/json", "content-length": "4"}),
        ("json: 1, headers: {Content-Type: text/x}", {"content-type": "text/x"}),
    ],
)  # fmt: skip
def test_requests_say_what_was_configured(run: Callable[..., Result], keys: str, expected: dict[str, str]) -> None:
    """The server sees every key that shapes the request."""
    with run_http_server({"/": respond()}) as server:
        result = run(server.url(), keys)
    headers = server.requests[0].headers
    assert (result.status, {name: headers.get(name) for name in expected}) == (ResultStatus.OK, expected)


def test_a_body_file_is_read_on_every_run(run: Callable[..., Result], tmp_path: Path) -> None:
    """A body file is sent as it is now; one that can no longer be read is a local failure."""
    file = tmp_path / "body.txt"
    file.write_bytes(b"first")
    with run_http_server({"/": respond()}) as server:
        keys = f"method: POST, body_file: {file}"
        checks = configured(server.url(), keys)
        assert run(server.url(), keys).status is ResultStatus.OK
        file.write_bytes(b"second")
        assert run(server.url(), keys).status is ResultStatus.OK
    assert [request.body for request in server.requests] == [b"first", b"second"]
    assert checks[0].settings == HttpSettings(method="POST", body_file=str(file))
    assert refusal("http://x/", f"body_file: {tmp_path / 'none'}")


async def test_an_unreadable_body_file_is_a_local_failure(tmp_path: Path) -> None:
    """A body file that vanished, is a directory or too large fails the check as `local`."""
    large = tmp_path / "large"
    large.write_bytes(bytes((1 << 20) + 1))
    found = [(await execute(respond(), body_file=str(file)))[0] for file in (tmp_path / "none", tmp_path, large)]
    assert [(result.reason, result.detail) for result in found] == [
        (Reason.LOCAL, f"the body_file {tmp_path}/none cannot be read: No such file or directory"),
        (Reason.LOCAL, f"the body_file {tmp_path} cannot be read: it is not a regular file"),
        (Reason.LOCAL, f"the body_file {large} is larger than 1048576 bytes"),
    ]


@pytest.mark.parametrize(
    ("act", "status", "reason"),
    [
        (respond(200, b'{"a": 1}'), ResultStatus.OK, None),
        (respond(200, b"5"), ResultStatus.OK, None),
        (respond(200, b"<p>hello"), ResultStatus.ERROR, Reason.DECODE),
        (respond(200, b""), ResultStatus.ERROR, Reason.DECODE),
        (respond(200, b"[" * 100_000), ResultStatus.ERROR, Reason.DECODE),
        (respond(200, b"[NaN]"), ResultStatus.ERROR, Reason.DECODE),
        (respond(502, b"<p>Bad Gateway"), ResultStatus.ERROR, Reason.STATUS),
    ],
)
def test_json_http_demands_json(
    run: Callable[..., Result], act: Act, status: ResultStatus, reason: Reason | None
) -> None:
    """A body that is not JSON fails a `json-http` check, but on an error page the status is the reason."""
    with run_http_server({"/": act}) as server:
        result = run(server.url(), check_type="json-http")
    assert (result.status, result.reason) == (status, reason)


def test_http_does_not_demand_json(run: Callable[..., Result]) -> None:
    """In type `http`, a JSONPath finds nothing in a body that is not JSON, and the log says why."""
    with run_http_server({"/": respond(200, b"<p>")}) as server:
        result = run(server.url(), "expect: [{json: $.a, exists: false}, {json: $.a, eq: 1, severity: warning}]")
    assert result.status is ResultStatus.WARNING
    notes = [line.fields for line in result.log if line.message == "no JSON value"]
    assert notes == [{"why": "unexpected '<' (line 1, column 1)"}] * 2


ENDS_IN_A_NUMBER = "is not a host name: its last label is a number, and it is not an IP address"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("shop.example", "has no scheme; write https://shop.example or http://shop.example"),
        ("//shop.example/", "has no scheme; write https://shop.example/ or http://shop.example/"),
        ("http:/shop.example/", "has no scheme; write https://shop.example/ or http://shop.example/"),
        (" https://shop.example/", "begins or ends with a space; remove it"),
        ("ftp://shop.example/", "has the scheme 'ftp'; only http and https can be checked"),
        ("https://", "has no host"),
        ("https:///path", "has no host"),
        ("/health", "has no scheme and no host; write https://HOST/health"),
        ("http://::1/", "has an IPv6 address without brackets; write [::1]"),
        ("http://2001:db8::7/x", "has an IPv6 address without brackets; write [2001:db8::7]"),
        ("https://shop.example:0/", "has port 0; a port is a number from 1 to 65535"),
        ("https://shop.example:99999/", "has port 99999; a port is a number from 1 to 65535"),
        ("https://shop.example:x/", "has port 'x'; a port is a number from 1 to 65535"),
        (
            "https://shop..example/",
            "has the host 'shop..example', which is not a host name: it has an empty label",
        ),
        ("https://2130706433/", f"has the host '2130706433', which {ENDS_IN_A_NUMBER}"),
        ("https://1.2.3/", f"has the host '1.2.3', which {ENDS_IN_A_NUMBER}"),
        ("https://[::1/", "has an address whose bracket is not closed"),
        ("https://shop.example/a b", "contains a space; in a URL it is written %20"),
        ("https://shop.example/\\ta", "contains a control character"),
        ("https://user@shop.example/", "has a user name or password in it; write them as basic_auth"),
    ],
)
def test_targets_that_are_not_urls_are_rejected(target: str, problem: str) -> None:
    """The error says what is wrong with the target and what to write."""
    messages = refusal(target)
    assert len(messages) == 1
    assert messages[0].startswith("checks[0].target: ")
    assert messages[0].endswith(problem)


@pytest.mark.parametrize(
    "target",
    ["http://localhost", "HTTPS://Shop.Example:8443/a?b", "http://[::1]:80/", "http://bücher.example/ä", "http://1.2.3.4"],
)  # fmt: skip
def test_targets_stay_as_they_were_written(target: str) -> None:
    """A URL that can be checked is used as target and as label exactly as written."""
    assert configured(target)[0].target == target


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("method: 'G T'", 'method: "G T" is not a supported request method, such as GET, HEAD or POST'),
        (
            "method: CONNECT",
            'method: "CONNECT" is not a supported request method, such as GET, HEAD or POST',
        ),
        ("headers: {'a b': x}", 'headers.a b: "a b" is not a valid header name'),
        (
            "headers: {Content-Length: '1'}",
            'headers.Content-Length: "Content-Length" is a header that follows from the body; leave it out',
        ),
        ('headers: {X: "a\\r\\nb"}', 'headers.X: "a\\r\\nb" contains a control character'),
        ("headers: {X: a, x: b}", ": has the header x more than once"),
        ("headers: {Host: 'a b'}", ": has the Host header 'a b', which is not a host name: it contains whitespace"),
        ("body: a, json: 1", ": has body and json; a request has one body"),
        (
            "bearer_token: a, headers: {authorization: b}",
            ": has bearer_token and an Authorization header; a request has one Authorization",
        ),
        (
            "basic_auth: {username: 'a:b', password: c}",
            ": has a colon in the user name of basic_auth, which is where the password would begin",
        ),
        (
            "compression: gzip, headers: {Accept-Encoding: br}",
            ": has compression gzip, which its header Accept-Encoding does not accept",
        ),
        ("compression: rot13", 'compression: must be one of gzip, deflate, br, zstd, identity, not "rot13"'),
        ("max_redirects: 99", "max_redirects: must be at most 20, not 99"),
        ("body_size_limit: 0", "body_size_limit: must be more than 0, not 0"),
        ('bearer_token: "a\\nb"', "bearer_token: <secret> contains a control character"),
    ],
)
def test_settings_without_a_valid_request_are_rejected(keys: str, problem: str) -> None:
    """What could not be sent, or contradicts itself, is rejected when the configuration is loaded."""
    assert refusal("http://x.example/", keys) == [f"checks[0]{'.' if problem[0] != ':' else ''}{problem}"]


def test_secrets_are_not_shown() -> None:
    """The representation of the settings contains neither headers, bodies nor credentials."""
    settings = HttpSettings.model_validate(
        {
            "headers": {"X-Api-Key": SECRET},
            "body": SECRET,
            "basic_auth": {"username": "me", "password": SECRET},
        }
    )
    assert SECRET not in repr(settings) + str(settings)
    assert SECRET not in repr(HttpSettings.model_validate({"json": SECRET, "bearer_token": SECRET}))


async def test_an_executor_leaves_its_client_open() -> None:
    """A client of the caller stays open for further checks; without one, the executor uses shared connections."""
    with run_http_server({"/": respond()}) as server:
        check = Check(name="it", check_type="http", target=server.url(), settings=HttpSettings())
        async with ProbeClient(HttpShared(), current_attempt) as client:
            lent = HttpCheckExecutor(client)
            assert (await lent.execute(check)).status is ResultStatus.OK

            assert not client.is_closed
        own = HttpCheckExecutor()
        assert (await own.execute(check)).status is ResultStatus.OK
        assert (await own.execute(check)).status is ResultStatus.OK

    assert len(server.requests) == 3


async def test_any_httpx_client_can_send_the_requests() -> None:
    """Embedders may bring any httpx client; redirects, limits and expectations work the same."""
    with run_http_server({"/": redirect("/x"), "/x": respond(200, b"there")}) as server:
        check = Check(name="it", check_type="http", target=server.url(), settings=HttpSettings())
        attempt = begin_attempt()
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            result = await HttpCheckExecutor(client).execute(check)
    assert (result.status, attempt.observed["redirects"], attempt.observed["body_size"]) == (ResultStatus.OK, 1, 5)


async def test_an_invalid_target_is_a_local_failure() -> None:
    """A check made in Python, whose target was not validated by a configuration, fails as `local`."""
    check = Check(name="it", check_type="http", target="shop", settings=HttpSettings())
    result = await HttpCheckExecutor().execute(check)
    assert (result.reason, result.detail) == (
        Reason.LOCAL,
        "the target has no scheme; write https://shop or http://shop",
    )


def test_a_hundred_checks_that_are_cut_off_leave_nothing_behind(
    runner: AsyncCheckRunner, start_nginx: Callable[..., Nginx]
) -> None:
    """After a batch of silent targets no socket is left, and the next one finds every connection free."""

    def checks(url: str) -> list[Check]:
        return [Check(name=str(number), check_type="http", target=url, timeout_seconds=50.0) for number in range(100)]

    silent: list[Result] = []
    healthy: list[Result] = []
    with deaf_port() as port:
        runner.run_all(checks(f"http://127.0.0.1:{port}/"), silent.append, budget_seconds=1.0)
        wait_until(lambda: sockets_to(port) == 0)
    batch = runner.run_all(checks(start_nginx().url()), healthy.append)
    assert {result.reason for result in silent} <= {Reason.DEADLINE, Reason.RUNNER}  # as busy as the machine is
    assert [result.status for result in healthy] == [ResultStatus.OK] * 100
    assert (batch.http_requests, batch.http_connections_opened, batch.http_connections_reused) == (100, 100, 0)


def test_documents_of_the_configuration_are_plain_json() -> None:
    """`json` is sent exactly as the configuration has it."""
    settings = configured("http://x.example/", "json: {a: [1, 2.5, null, true, x]}")[0].settings
    assert isinstance(settings, HttpSettings)
    assert json.dumps(settings.json_body) == '{"a": [1, 2.5, null, true, "x"]}'


def test_kept_connections_serve_the_next_batch(runner: AsyncCheckRunner, start_nginx: Callable[..., Nginx]) -> None:
    """With keep_alive the second batch opens nothing and connects to nothing, while the loop stays warm."""
    checks = configured(start_nginx().url(), "keep_alive: true")
    results: list[Result] = []
    first, second = [runner.run_all(checks, results.append) for _ in range(2)]
    assert (first.http_connections_opened, first.http_connections_reused) == (1, 0)
    assert (second.http_requests, second.http_connections_opened, second.http_connections_reused) == (1, 0, 1)
    connecting = [measured(result)["probe_http_duration_seconds{connect}"] for result in results]
    assert (results[1].status, connecting[0] > 0, connecting[1]) == (ResultStatus.OK, True, 0.0)


def test_http2_is_used_unless_it_is_disabled(
    run: Callable[..., Result], start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """The version of HTTP that was used is measured, and can be expected."""
    nginx = start_nginx(TLS_SERVER.replace("ssl backlog", "ssl http2 backlog"), certificate=certificate)
    trust = f"tls_config: {{ca_file: {ca_file}}}, "
    second = run(nginx.tls_url(), trust + "expect: [{http_version: '2'}]")
    first = run(nginx.tls_url(), trust + "http2: false, expect: [{http_version: '1.1'}]")
    assert (second.status, measured(second)["probe_http_version"]) == (ResultStatus.OK, 2.0)
    assert (first.status, measured(first)["probe_http_version"]) == (ResultStatus.OK, 1.1)
