"""What probes of http modules send, and how they read the response."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped]  # it has no types
import pytest

from exporter.checks.http import HTTP
from exporter.model import ResultStatus
from tests.blackbox.module_files import module_of
from tests.checks.running import measured, warm_runner
from tests.servers.http import redirect, respond, run_http_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import HttpServer

BODY = b"what is in it" * 20
RAW_DEFLATE = zlib.compressobj(wbits=-15)
BODIES = {
    "plain": (BODY, ""),
    "gzip": (gzip.compress(BODY), "gzip"),
    "gzip-unnamed": (gzip.compress(BODY), ""),
    "deflate": (RAW_DEFLATE.compress(BODY) + RAW_DEFLATE.flush(), "deflate"),
    "zlib": (zlib.compress(BODY), "deflate"),
    "br": (brotli.compress(BODY), "br"),
    "unknown": (BODY, "none"),
    "empty": (b"", ""),
}


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner of http checks."""
    with warm_runner(HTTP) as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    """A server with one path for each way to encode a body, and some for headers and redirects."""
    script = {
        f"/{name}": respond(200, body, [("Content-Encoding", coding)] if coding else [])
        for name, (body, coding) in BODIES.items()
    }
    script["/moved"] = redirect("/plain")
    script["/two"] = respond(200, b"", [("X-Two", "a"), ("X-Two", "b")])
    with run_http_server(script) as found:
        yield found


@pytest.fixture
def probe(tmp_path: Path, runner: AsyncCheckRunner, server: HttpServer) -> Callable[[str, str], Result]:
    """Probes a path of the server with the keys of an http module."""

    def run(path: str, keys: str) -> Result:
        check = module_of(tmp_path, f"modules: {{m: {{prober: http, http: {{{keys}}}}}}}").check(server.url(path))
        results: list[Result] = []
        runner.run_all([check], results.append)
        return results[0]

    return run


@pytest.mark.parametrize(
    ("compression", "well"),
    [
        ("", {"plain", "gzip", "gzip-unnamed", "deflate", "zlib", "br", "unknown", "empty"}),
        ("identity", {"plain", "gzip", "gzip-unnamed", "deflate", "zlib", "br", "unknown", "empty"}),
        ("gzip", {"gzip", "gzip-unnamed"}),
        ("GZIP", {"gzip", "gzip-unnamed"}),
        ("deflate", {"deflate"}),
        ("br", {"br"}),
    ],
)
def test_a_body_is_decoded_as_the_module_says(
    probe: Callable[[str, str], Result], compression: str, well: set[str]
) -> None:
    """Only `compression` is decoded, whatever Content-Encoding says; a body that is not so compressed fails."""
    found = {name for name in BODIES if probe(f"/{name}", f"compression: '{compression}'").status is ResultStatus.OK}
    assert found == well


@pytest.mark.parametrize(("compression", "length"), [("", len(BODIES["gzip"][0])), ("gzip", len(BODY))])
def test_the_length_of_a_body_is_counted_after_decoding(
    probe: Callable[[str, str], Result], compression: str, length: int
) -> None:
    """Without `compression`, the length is that of the body as it was sent."""
    result = probe("/gzip", f"compression: '{compression}'")
    assert measured(result)["probe_http_uncompressed_body_length"] == length


@pytest.mark.parametrize(
    ("keys", "ok"),
    [
        ("fail_if_header_matches: [{header: X-Two, regexp: b}]", False),
        ("fail_if_header_matches: [{header: x-two, regexp: c}]", True),
        ("fail_if_header_matches: [{header: X-None, regexp: c}]", False),
        ("fail_if_header_matches: [{header: X-None, regexp: c, allow_missing: true}]", True),
        ("fail_if_header_not_matches: [{header: X-Two, regexp: b}]", True),
        ("fail_if_header_not_matches: [{header: X-Two, regexp: c}]", False),
        ("fail_if_header_not_matches: [{header: X-None, regexp: c}]", False),
        ("fail_if_header_not_matches: [{header: X-None, regexp: c, allow_missing: true}]", True),
        ("fail_if_ssl: true", True),
        ("fail_if_not_ssl: true", False),
        ("valid_http_versions: [HTTP/1.1]", True),
        ("valid_http_versions: [HTTP/1.0, HTTP/2]", False),
        ("valid_status_codes: [404]", False),
        ("valid_status_codes: [404, 200]", True),
        ("fail_if_body_matches_regexp: [a]", True),
        ("fail_if_body_not_matches_regexp: [a]", False),
    ],
)
def test_a_response_is_judged_as_the_module_says(probe: Callable[[str, str], Result], keys: str, ok: bool) -> None:
    """Each option about the response fails the probe exactly when it says so."""
    assert (probe("/two", keys).status is ResultStatus.OK) is ok


def test_headers_are_sent_as_they_are_configured(
    probe: Callable[[str, str], Result], server: HttpServer, tmp_path: Path
) -> None:
    """A header may have several values, some of them secrets; only configured headers are sent."""
    (tmp_path / "token").write_text("from-a-file\n")
    keys = (
        "headers: {X-One: a}, authorization: {type: Token, credentials: geheim}, "
        f"http_headers: {{X-Two: {{values: [b, c], secrets: [d], files: ['{tmp_path}/token']}}}}"
    )
    probe("/plain", keys)
    lines = server.requests[-1].head.decode().splitlines()[1:]
    assert [line for line in lines if not line.startswith(("Host:", "User-Agent:"))] == [
        "X-One: a",
        "Authorization: Token geheim",
        "X-Two: b",
        "X-Two: c",
        "X-Two: d",
        "X-Two: from-a-file",
        "Connection: close",
    ]


def test_credentials_are_sent_again_after_a_redirect_to_the_same_host(
    runner: AsyncCheckRunner, server: HttpServer, tmp_path: Path
) -> None:
    """They are configured for this origin, whichever option sets them."""
    sent = []
    for keys in ("basic_auth: {username: a, password: b}", "authorization: {credentials: token-of-mine}"):
        check = module_of(tmp_path, f"modules: {{m: {{prober: http, http: {{{keys}}}}}}}").check(server.url("/moved"))
        runner.run_all([check], lambda result: None)
        sent.append([request.headers["authorization"] for request in server.requests[-2:]])
    assert sent == [["Basic YTpi"] * 2, ["Bearer token-of-mine"] * 2]


def test_a_body_that_is_too_large_fails(probe: Callable[[str, str], Result]) -> None:
    """The limit applies to the decompressed body."""
    assert probe("/gzip", "compression: gzip, body_size_limit: 100B").detail == (
        "the decoded body is larger than 100 bytes"
    )


def test_credentials_of_a_url_are_sent_unless_the_module_has_others(
    runner: AsyncCheckRunner, server: HttpServer, tmp_path: Path
) -> None:
    """The user name and password in the target are sent as basic authentication and never shown."""
    target = server.url("/plain").replace("://", "://me:geheim@")
    sent = []
    for keys in ("", "basic_auth: {username: a, password: b}"):
        check = module_of(tmp_path, f"modules: {{m: {{prober: http, http: {{{keys}}}}}}}").check(target)
        runner.run_all([check], lambda result: None)
        sent.append(server.requests[-1].headers["authorization"])
        assert "geheim" not in check.shown_target
    assert sent == ["Basic bWU6Z2VoZWlt", "Basic YTpi"]
