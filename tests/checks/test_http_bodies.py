"""Codings and charsets in HTTP checks: an unreadable body fails only the checks that need it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.config.load import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from tests.checks.running import measured, warm_runner
from tests.servers.http import encoded, respond, run_http_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.model import Check, Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import Act

TYPES = {"http": HTTP, "json-http": JSON_HTTP}
UNKNOWN = [
    "utf-8",
    "none",
    "binary",
    "aws-chunked",
    "UTF8",
    "text",
    "compress",
    "gzip, br",
    "x-nonsense;q=1",
    "ünï",
    "*",
]
PLAIN = ["identity", "", " ", ",", "identity, identity", "Identity"]


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows both types and whose loop stays warm."""
    with warm_runner(*TYPES.values()) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check of the response that an act sends."""

    def run_one(act: Act, keys: str = "", *, check_type: str = "http") -> Result:
        results: list[Result] = []
        with run_http_server({"/": act}) as server:
            runner.run_all(configured(server.url(), keys, check_type), results.append)
        return results[0]

    return run_one


def configured(target: str, keys: str = "", check_type: str = "http") -> tuple[Check, ...]:
    text = f'checks: [{{name: it, type: {check_type}, target: "{target}", timeout: 30s, {keys}}}]'
    return parse_config(text, "checks.yml", TYPES).checks


@pytest.mark.parametrize("coding", UNKNOWN)
@pytest.mark.parametrize(
    "keys", ["", "expect: [{status: 200}, {header: Content-Type, exists: false}]", "compression: gzip"]
)
def test_an_unknown_coding_is_noted(run: Callable[..., Result], coding: str, keys: str) -> None:
    """A check that does not need the body is ok whatever coding the server names, and its log has a note."""
    result = run(encoded(coding, b"hello"), keys)
    assert (result.status, result.reason) == (ResultStatus.OK, None)
    assert measured(result)["probe_http_uncompressed_body_length"] == 5
    (note,) = [line.fields["why"] for line in result.log if line.message == "the body was not decoded"]
    assert str(note).startswith("the body has ")


@pytest.mark.parametrize("coding", ["utf-8", "none", "binary", "aws-chunked", "nonsense"])
@pytest.mark.parametrize(
    "expectation",
    [
        "body: {contains: hello}",
        "body: {not_matches: error}",
        "body: {ne: x}",
        "body_size: {gt: 0}",
        "json: $.a, exists: false",
        "json: $.a, ne: 1",
    ],
)
def test_an_expectation_about_such_a_body_fails(run: Callable[..., Result], coding: str, expectation: str) -> None:
    """Any expectation about a body in an unknown coding fails with reason `decode`."""
    result = run(encoded(coding, b"hello"), f"expect: [{{{expectation}}}]")
    detail = f"the body has the unknown content coding '{coding}'"
    assert (result.status, result.reason, result.detail) == (ResultStatus.ERROR, Reason.DECODE, detail)


def test_a_warning_about_such_a_body_degrades_the_check(run: Callable[..., Result]) -> None:
    """An expectation with severity warning about such a body makes the check degraded."""
    result = run(encoded("none", b"hello"), "expect: [{body: {contains: hello}, severity: warning}]")
    assert (result.status, result.reason) == (ResultStatus.WARNING, Reason.DECODE)


def test_json_http_needs_the_body(run: Callable[..., Result]) -> None:
    """A `json-http` check without expectations fails, too; on an error page, the status is the reason."""
    asked = [
        run(encoded("utf-8", b"{}"), check_type="json-http"),
        run(respond(503, b"{}", [("Content-Encoding", "utf-8")]), check_type="json-http"),
    ]
    assert [result.reason for result in asked] == [Reason.DECODE, Reason.STATUS]


@pytest.mark.parametrize("coding", PLAIN)
def test_no_coding_is_allowed(run: Callable[..., Result], coding: str) -> None:
    """`identity` and an empty field leave the body as it is."""
    result = run(encoded(coding, b"hello"), "expect: [{body: hello}]")
    assert (result.status, result.reason) == (ResultStatus.OK, None)


@pytest.mark.parametrize("keys", ["", "expect: [{body: {contains: a}}]"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_corrupt_body_is_a_failure(run: Callable[..., Result], coding: str, keys: str) -> None:
    """A body that does not match its known coding fails every check, as it fails every browser."""
    assert run(encoded(coding, b"\xff\xffno such thing"), keys).reason is Reason.DECODE


def test_a_large_limit_changes_no_coding(run: Callable[..., Result]) -> None:
    """With a large limit, the body is decoded after the response, with the same outcome."""
    packed = gzip.compress(b"a" * (5 << 20))
    keys = "body_size_limit: 8MiB, expect: [{body_size: 5242880}, {body: {matches: '^a+$'}}]"
    assert run(encoded("gzip", packed), keys).status is ResultStatus.OK
    assert run(encoded("gzip", packed[:-1]), keys).reason is Reason.DECODE
    assert run(encoded("gzip", packed), "body_size_limit: 4718592").reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/html; charset=latin1", b"\x80 5", "€ 5"),
        ("text/html; charset=gb2312", b"\xb0\xa1", "啊"),
        ("text/html; charset=shift_jis", b"\x87\x40", "①"),
        ("text/html", b"<meta charset=koi8-r>\xc1", "\u0430"),
        ("application/xml", b"<?xml version='1.0' encoding='iso-8859-2'?><a>\xe6</a>", "ć"),
        ("text/plain; charset=utf-8", b"\xff\xfea\x00", "a"),
        ("text/html; charset=bogus", b"caf\xc3\xa9", "café"),
        ("text/html; charset=x-user-defined", b"a\xff", "\uf7ff"),
        ("text/html; charset=replacement", b"abc", "\ufffd"),
        ("text/html; charset=iso-2022-cn", b"abc", "\ufffd"),
    ],
)
def test_expectations_see_the_text_that_people_see(
    run: Callable[..., Result], content_type: str, body: bytes, text: str
) -> None:
    """`body` is the text that a browser shows, small and large bodies alike."""
    keys = f'expect: [{{body: {{contains: "{text}"}}}}, {{body: {{matches: "{text}"}}}}]'
    for padding in ("", " " * 500_000):
        encoding = "utf-16-le" if body.startswith(b"\xff\xfe") else "ascii"
        act = respond(200, body + padding.encode(encoding), [("Content-Type", content_type)])
        assert (run(act, keys).status, len(padding)) == (ResultStatus.OK, len(padding))


def test_an_unknown_charset_is_noted(run: Callable[..., Result]) -> None:
    """The log of a run says which charset is unknown, for small and large bodies."""
    for body in (b"abc", b"abc" * 100_000):
        result = run(
            respond(200, body, [("Content-Type", "text/html; charset=bogus")]), "expect: [{body: {matches: c$}}]"
        )
        noted = [line.fields for line in result.log if line.message == "unknown charset"]
        assert (result.status, noted) == (ResultStatus.OK, [{"charset": "bogus", "read_as": "utf-8"}])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"a": "é"}'.encode(), "application/json; charset=iso-8859-1"),
        ('\ufeff{"a": "é"}'.encode(), "application/json"),
        ('{"a": "é"}'.encode("utf-16"), "application/json"),
        ('{"a": "é"}'.encode("utf-32-le"), "application/json; charset=bogus"),
    ],
)
def test_json_knows_its_encoding(run: Callable[..., Result], body: bytes, content_type: str) -> None:
    """JSON is in one of Unicode's encodings, whatever the Content-Type says (RFC 8259 section 8.1)."""
    act = respond(200, body, [("Content-Type", content_type)])
    assert run(act, "expect: [{json: $.a, eq: é}]", check_type="json-http").status is ResultStatus.OK


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ("compression: identity", "identity"),
        ("compression: gzip, headers: {Accept-Encoding: 'gzip, br'}", "gzip, br"),
        ("compression: gzip, headers: {accept-encoding: '*'}", "*"),
        ("compression: gzip, headers: {Accept-Encoding: 'GZIP;q=0.5, *;q=0'}", "GZIP;q=0.5, *;q=0"),
        ("compression: gzip, headers: {Accept-Encoding: x-gzip}", "x-gzip"),
        ("compression: identity, headers: {Accept-Encoding: gzip}", "gzip"),
        ("headers: {Accept-Encoding: anything}", "anything"),
    ],
)
def test_compression_can_be_combined_with_a_header_that_accepts_it(
    runner: AsyncCheckRunner, keys: str, sent: str
) -> None:
    """The configured Accept-Encoding is sent if it accepts the coding."""
    with run_http_server({"/": respond(200)}) as server:
        runner.run_all(configured(server.url(), keys), lambda _: None)
    assert [request.headers["accept-encoding"] for request in server.requests] == [sent]


@pytest.mark.parametrize(
    ("compression", "accepted"),
    [
        ("gzip", "br"),
        ("gzip", "gzip;q=0"),
        ("br", "gzip, *;q=0.0"),
        ("zstd", ""),
        ("identity", "identity;q=0"),
        ("identity", "gzip, *;q=0"),
    ],
)
def test_compression_that_the_header_excludes_is_rejected(compression: str, accepted: str) -> None:
    """A coding that the Accept-Encoding header excludes is an error in the configuration."""
    with pytest.raises(ConfigError) as raised:
        configured("http://x.example/", f'compression: {compression}, headers: {{Accept-Encoding: "{accepted}"}}')
    assert [problem.message for problem in raised.value.problems] == [
        f"has compression {compression}, which its header Accept-Encoding does not accept"
    ]
