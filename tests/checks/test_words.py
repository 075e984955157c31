"""Keys that every check type has, against real peers: groups of conditions, and the address that was connected to."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from exporter.checks.dns import DNS
from exporter.checks.http import HTTP
from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.model import Reason, ResultStatus
from tests.checks.running import warm_runner
from tests.servers.dns import run_dns_server
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import closed_port, say, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner

TYPES = {"http": HTTP, "tcp": TCP, "dns": DNS}


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner for these types whose loop stays warm."""
    with warm_runner(*TYPES.values()) as runner:
        yield runner


def run(runner: AsyncCheckRunner, check_type: str, target: str, keys: str) -> Result:
    text = f'checks: [{{name: it, type: {check_type}, target: "{target}", {keys}}}]'
    results: list[Result] = []
    runner.run_all(parse_config(text, "checks.yml", TYPES).checks, results.append)
    return results[0]


@pytest.mark.parametrize(("status", "body", "ok"), [(404, b"", True), (200, b"here", True), (200, b"", False)])
def test_a_group_about_the_status_replaces_the_default(
    runner: AsyncCheckRunner, status: int, body: bytes, *, ok: bool
) -> None:
    """No 2xx is required beside it, and the failure shows the observed status."""
    with run_http_server({"/": respond(status, body)}) as server:
        result = run(
            runner, "http", server.url(), "expect: [{any: [{status: 404}, {all: [{status: 200}, {body: here}]}]}]"
        )
    assert [outcome.expectation.label for outcome in result.expectations] == [
        "status in 404 or (status in 200 and body eq here)"
    ]
    assert result.status is (ResultStatus.OK if ok else ResultStatus.ERROR)
    if not ok:
        assert result.detail == (
            "expected status in 404 or (status in 200 and body eq here), observed status: 200; body: nothing"
        )


def test_a_missed_group_has_the_reason_of_its_parts(runner: AsyncCheckRunner) -> None:
    """All of them are about the status."""
    with run_http_server({"/": respond(500)}) as server:
        result = run(runner, "http", server.url(), "expect: [{any: [{status: 404}, {status: 2xx}]}]")
    assert (result.reason, result.detail) == (
        Reason.STATUS,
        "expected status in 404 or status in 2xx, observed status: 500",
    )


@pytest.mark.parametrize("words", [b"220 ready\r\n", b"hello\r\n421 busy\r\n"])
def test_a_group_about_the_banner_is_met_by_any_line(runner: AsyncCheckRunner, words: bytes) -> None:
    """Listening ends with the line that meets it, long before the time is up."""
    started = perf_counter()
    with serve(say(words)) as server:
        result = run(
            runner, "tcp", server.target, "expect: [{any: [{banner: {matches: ^220}}, {banner: {matches: ^421}}]}]"
        )
    assert result.status is ResultStatus.OK
    assert perf_counter() - started < 5


def test_every_type_that_connects_has_the_address(runner: AsyncCheckRunner) -> None:
    """It can be judged whether the check succeeds or not."""
    keys = "expect: [{address: {in: [127.0.0.0/8, 192.0.2.1]}}, {address: {ne: 127.0.0.1}, severity: warning}]"
    with run_http_server({"/": respond()}) as web, run_dns_server() as names, closed_port() as closed:
        results = [
            run(runner, "http", web.url(host="localhost"), keys),
            run(runner, "dns", "two.test", f"server: {names.server}, {keys}"),
            run(runner, "tcp", f"127.0.0.1:{web.port}", keys),
            run(runner, "tcp", f"127.0.0.1:{closed}", keys),
        ]
    assert [[outcome.ok for outcome in result.expectations[:2]] for result in results] == [[True, False]] * 4
    assert {result.expectations[0].observed for result in results} == {"127.0.0.1"}
