"""`log_body` of HTTP checks: the log of a run shows how the body of an unexpected response begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.model import ResultStatus
from tests.checks.running import run_as_written, warm_runner
from tests.servers.http import encoded, raw, respond, run_http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.checks.base import CheckType
    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import Act

ERROR_PAGE = respond(503, b"<h1>Sorry</h1>\n\n  the database\tis down\n")
AS_ONE_LINE = "<h1>Sorry</h1> the database is down"
LATIN_1 = [("Content-Type", "text/plain; charset=iso-8859-1")]


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    with warm_runner(HTTP, JSON_HTTP) as runner:
        yield runner


def run(runner: AsyncCheckRunner, act: Act, keys: str, check_type: CheckType = HTTP) -> Result:
    with run_http_server({"/": act}) as server:
        return run_as_written(runner, check_type, server.url(), keys)


def logged(result: Result) -> list[object]:
    """The beginnings of bodies in the log."""
    return [line.fields["text"] for line in result.log if line.message == "the body begins"]


@pytest.mark.parametrize(
    ("act", "keys", "beginnings"),
    [
        (ERROR_PAGE, "log_body: true", [AS_ONE_LINE]),
        (ERROR_PAGE, "log_body: false", []),
        (ERROR_PAGE, "retries: 0", []),
        (ERROR_PAGE, "log_body: true, expect: [{status: 503}]", []),
        (respond(200, b"all is well"), "log_body: true, expect: [{body: {contains: ready}}]", ["all is well"]),
        (respond(200, b"all is well"), "log_body: true", []),
        (respond(500), "log_body: true", []),
        (respond(200, b"slow"), "log_body: true, expect: [{duration: {gt: 5s}}]", []),
        (
            respond(200, b"9 jobs"),
            'log_body: true, expect: [{body: {matches: "^[0-8] jobs"}, severity: warning}]',
            ["9 jobs"],
        ),
        (respond(500, "Größe".encode("latin-1"), LATIN_1), "log_body: true", ["Größe"]),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut off"), "log_body: true", ["cut off"]),
        (encoded("unheard-of", b"as it came"), "log_body: true, expect: [{body: {contains: x}}]", ["as it came"]),
    ],
)
def test_the_body_of_an_unexpected_response_is_logged(
    runner: AsyncCheckRunner, act: Act, keys: str, beginnings: list[str]
) -> None:
    """It is logged if the check has `log_body`, and the response misses an expectation or did not arrive whole."""
    assert logged(run(runner, act, keys)) == beginnings


def test_a_page_in_place_of_json_is_logged(runner: AsyncCheckRunner) -> None:
    """A login page instead of an answer of the API is what one wants to see."""
    result = run(runner, respond(200, b"<html>Please log in</html>"), "log_body: true", JSON_HTTP)
    assert result.status is ResultStatus.ERROR
    assert logged(result) == ["<html>Please log in</html>"]


@pytest.mark.parametrize(
    ("body", "beginning"),
    [
        (b"x" * 500, "x" * 500),
        (b"x" * 501, "x" * 499 + "…"),
        (b" \n" * 2000 + b"late", "…"),
        ("ö".encode() * 1500, "ö" * 499 + "…"),
        (b"\x00\x01", "00 01"),
        (bytes(range(40)), " ".join(f"{number:02x}" for number in range(32)) + " …"),
    ],
)
def test_only_the_beginning_is_logged(runner: AsyncCheckRunner, body: bytes, beginning: str) -> None:
    """Of a long text, 500 characters on one line are logged; of what is not text, 32 bytes."""
    assert logged(run(runner, respond(500, body), "log_body: true")) == [beginning]
