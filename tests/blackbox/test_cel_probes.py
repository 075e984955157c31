"""Probes of http modules with CEL expressions: verdict, `probe_failed_due_to_cel`, and combinations with regexps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP
from exporter.model import ResultStatus
from tests.blackbox.module_files import module_of, shown
from tests.checks.running import warm_runner
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import HttpServer

JSON = [("Content-Type", "application/json")]
SCRIPT = {
    "/up": respond(200, b'{"status": "ok", "depth": 7, "items": [{"up": true}, {"up": true}]}', JSON),
    "/down": respond(200, b'{"status": "down", "depth": 100, "items": [{"up": false}]}', JSON),
    "/text": respond(200, b"ok", [("Content-Type", "text/plain")]),
    "/error": respond(503, b'{"status": "ok"}', JSON),
    "/odd": respond(200, b'{"status": "ok"}', [("Content-Encoding", "gzip")]),
    "/large": respond(200, b'{"status": "ok", "more": "' + b"a" * 2000 + b'"}', JSON),
}
IS_OK = """fail_if_body_json_not_matches_cel: "body.status == 'ok'" """
IS_DOWN = """fail_if_body_json_matches_cel: "body.status == 'down'" """


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner of http checks."""
    with warm_runner(HTTP) as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    """A server with expected JSON, unexpected JSON and a body that is not JSON."""
    with run_http_server(SCRIPT) as found:
        yield found


Seen = tuple[bool, float | None, float | None]
"""Whether the probe succeeds, and the values of `probe_failed_due_to_cel` and `probe_failed_due_to_regex`."""


@pytest.fixture
def probe(tmp_path: Path, runner: AsyncCheckRunner) -> Callable[[str, str], Seen]:
    """Probes a URL with the keys of an http module."""

    def run(url: str, keys: str) -> Seen:
        module = module_of(tmp_path, f"modules: {{m: {{prober: http, http: {{{keys}}}}}}}")
        results: list[Result] = []
        runner.run_all([module.check(url)], results.append)
        values = shown(module, results[0])
        ok = results[0].status is ResultStatus.OK
        return ok, values.get("probe_failed_due_to_cel"), values.get("probe_failed_due_to_regex")

    return run


@pytest.mark.parametrize(
    ("path", "keys", "seen"),
    [
        ("/up", "", (True, None, 0)),
        ("/up", IS_OK, (True, 0, 0)),
        ("/up", IS_DOWN, (True, 0, 0)),
        ("/down", IS_OK, (False, 1, 0)),
        ("/down", IS_DOWN, (False, 1, 0)),
        ("/up", f"{IS_OK}, {IS_DOWN}", (True, 0, 0)),
        ("/up", "fail_if_body_json_matches_cel: 'body.depth > 10'", (True, 0, 0)),
        ("/down", "fail_if_body_json_matches_cel: 'body.depth > 10'", (False, 1, 0)),
        ("/up", "fail_if_body_json_not_matches_cel: 'body.items.all(i, i.up)'", (True, 0, 0)),
        ("/down", "fail_if_body_json_not_matches_cel: 'body.items.all(i, i.up)'", (False, 1, 0)),
    ],
)
def test_an_expression_fails_a_probe_when_the_module_says_so(
    probe: Callable[[str, str], Seen], server: HttpServer, path: str, keys: str, seen: Seen
) -> None:
    """One option fails the probe when its expression is true, the other when it is false; the metric says so."""
    assert probe(server.url(path), keys) == seen


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/text", IS_OK),
        ("/text", IS_DOWN),
        ("/up", "fail_if_body_json_matches_cel: body.missing"),
        ("/up", "fail_if_body_json_not_matches_cel: 'body.missing == 1'"),
        ("/up", "fail_if_body_json_matches_cel: body.depth"),
        ("/up", "fail_if_body_json_not_matches_cel: body.depth"),
        ("/up", "fail_if_body_json_matches_cel: 'body.depth + 1 == 8'"),
        ("/large", f"{IS_OK}, body_size_limit: 1000B"),
    ],
)
def test_an_expression_without_a_truth_value_fails_the_probe(
    probe: Callable[[str, str], Seen], server: HttpServer, path: str, keys: str
) -> None:
    """Examples are a body that is not JSON, a missing member, mismatched types, a number, and a truncated body."""
    assert probe(server.url(path), keys) == (False, 1, 0)


@pytest.mark.parametrize(
    ("path", "keys", "regex"),
    [
        ("/error", IS_OK, 0),
        ("/odd", f"{IS_OK}, compression: gzip", 0),
        ("/down", f"{IS_OK}, fail_if_body_matches_regexp: [down]", 1),
        ("/down", f"{IS_OK}, fail_if_header_not_matches: [{{header: Content-Type, regexp: text}}]", 1),
    ],
)
def test_what_fails_before_an_expression_is_the_cause(
    probe: Callable[[str, str], Seen], server: HttpServer, path: str, keys: str, regex: int
) -> None:
    """After an error status, a decoding error or a failed regular expression, CEL is not reported as the cause."""
    assert probe(server.url(path), keys) == (False, 0, regex)


def test_the_metric_is_exported_without_a_response(probe: Callable[[str, str], Seen]) -> None:
    """A module with an expression exports its metric whatever happens."""
    with closed_port() as port:
        assert probe(f"http://127.0.0.1:{port}/", IS_OK) == (False, 0, 0)


def test_regular_expressions_and_cel_can_be_combined(probe: Callable[[str, str], Seen], server: HttpServer) -> None:
    """Both look at the whole body, which blackbox_exporter reads only once."""
    assert probe(server.url("/up"), f"{IS_OK}, fail_if_body_not_matches_regexp: [items]") == (True, 0, 0)
