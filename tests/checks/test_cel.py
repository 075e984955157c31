"""Expectations about `cel` as users write them, in every type that fetches JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.checks.http_steps import HTTP_STEPS
from exporter.model import Reason, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.runner.runner import AsyncCheckRunner

BODY = b'{"status": "ok", "queue": {"depth": 7}, "items": [{"up": true}, {"up": false}]}'
OK = (ResultStatus.OK, None, "")


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner of the types that fetch JSON."""
    with warm_runner(HTTP, JSON_HTTP, HTTP_STEPS) as found:
        yield found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a document."""
    script = {"/": respond(200, BODY, [("Content-Type", "application/json")]), "/text": respond(200, b"hello")}
    with run_http_server(script) as server:
        yield server.url("/")


@pytest.mark.parametrize("kind", [HTTP, JSON_HTTP], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{cel: body.status == 'ok' && body.queue.depth < 10}", OK),
        ("{cel: 'body.items.all(i, i.up)', eq: false}", OK),
        ("{cel: size(body.items), in: [2, 3]}", OK),
        ("{cel: body.queue.depth, lt: 10}", OK),
        ("{any: [{cel: body.status == 'bad'}, {status: 200}]}", OK),
        (
            "{cel: 'body.items.all(i, i.up)'}",
            (
                ResultStatus.ERROR,
                Reason.EXPECTATION,
                "expected cel body.items.all(i, i.up) eq true, observed false",
            ),
        ),
        (
            "{cel: body.state == 'ok', severity: warning}",
            (
                ResultStatus.WARNING,
                Reason.EXPECTATION,
                "the CEL expression body.state == 'ok' has no value: there is no member 'state'",
            ),
        ),
    ],
)
def test_an_expression_is_an_expectation(
    runner: AsyncCheckRunner, url: str, kind: object, expectation: str, expected: object
) -> None:
    """The value must be true, or is compared; an expression without a value is not met, with the reason."""
    check_type = HTTP if kind is HTTP else JSON_HTTP
    assert outcome(run_as_written(runner, check_type, url, f"expect: [{expectation}]")) == expected


def test_a_step_can_expect_it_too(runner: AsyncCheckRunner, url: str) -> None:
    """Each step of http-steps is judged by its own answer."""
    steps = f"steps: [{{name: one, url: '{url}', expect: [{{cel: body.queue.depth > 5}}]}}]"
    assert outcome(run_as_written(runner, HTTP_STEPS, url, steps)) == OK


def test_a_metric_reports_whether_an_expression_failed(runner: AsyncCheckRunner, url: str) -> None:
    """Only checks with expressions export it, and they do so even without a response."""
    with closed_port() as port:
        targets = {"holds": url, "no JSON": f"{url}text", "no answer": f"http://127.0.0.1:{port}/"}
        results = {
            name: run_as_written(runner, HTTP, target, "expect: [{cel: body.status == 'ok'}]")
            for name, target in targets.items()
        }
    results["no expression"] = run_as_written(runner, HTTP, url)
    assert {name: measured(result).get("probe_failed_due_to_cel") for name, result in results.items()} == {
        "holds": 0,
        "no JSON": 1,
        "no answer": 0,
        "no expression": None,
    }
