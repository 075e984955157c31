"""The verdict on a run: the first failure, the reasons for a retry, and the words."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from exporter.expect import evaluate
from exporter.judging.pattern import Pattern
from exporter.model import Check, Expectation, Operator, Reason, Result, ResultStatus, Subject, ValueKind
from tests.checks.running import warm_runner
from tests.servers.dns import run_dns_server
from tests.servers.http import drip, hold, respond, run_http_server
from tests.servers.tcp import black_hole, keep_silent, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.runner.runner import AsyncCheckRunner

TYPES = {check_type.name: check_type for check_type in BUILTIN}


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows the built-in types and whose loop stays warm."""
    with warm_runner(*BUILTIN) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it."""

    def run_one(check_type: str, target: str, keys: str = "") -> Result:
        results: list[Result] = []
        text = f'checks: [{{name: it, type: {check_type}, target: "{target}", {keys}}}]'
        runner.run_all(parse_config(text, "checks.yml", TYPES).checks, results.append)
        return results[0]

    return run_one


@pytest.mark.parametrize(
    ("keys", "status", "reason", "detail"),
    [
        ("expect: [{body: {contains: cart}}]", "error", Reason.STATUS, "expected status in 2xx, observed 500"),
        ("expect: [{body: {contains: cart}}, {status: 200}]", "error", Reason.STATUS,
         "expected status in 200, observed 500"),
        ("expect: [{header: X, exists: true}, {body_size: {gt: 9}}]", "error", Reason.STATUS,
         "expected status in 2xx, observed 500"),
        ("expect: [{status: 200, severity: warning}, {body: {contains: cart}}]", "error", Reason.EXPECTATION,
         "expected body contains cart, observed oops"),
        ("expect: [{body: {contains: cart}, severity: warning}, {status: 200, severity: warning}]", "warning",
         Reason.STATUS, "expected status in 200, observed 500"),
        ("expect: [{status: 500}, {header: X, exists: true}]", "error", Reason.EXPECTATION,
         "expected header X exists true, observed nothing"),
        ("expect: [{status: 500}, {tls_version: TLS13}]", "error", Reason.TLS,
         "expected tls_version eq TLS13, which could not be judged"),
    ],
)  # fmt: skip
def test_a_wrong_status_goes_before_everything_else(
    run: Callable[..., Result], keys: str, status: str, reason: Reason, detail: str
) -> None:
    """Whatever else an error page lacks, the reason is its status, unless only another expectation is an error."""
    with run_http_server({"/": respond(500, b"oops")}) as server:
        result = run("http", server.url(), keys)
    assert (result.status, result.reason, result.detail) == (ResultStatus(status), reason, detail)


def test_a_wrong_response_code_goes_before_the_answers(run: Callable[..., Result]) -> None:
    """A name that does not exist has no answers, either, but the code says more."""
    with run_dns_server() as server:
        result = run("dns", "nxdomain.test", f'server: "{server.server}", expect: [{{answers: 192.0.2.1}}]')
    assert (result.reason, result.detail) == (Reason.RCODE, "expected rcode eq NOERROR, observed NXDOMAIN")


@pytest.mark.parametrize(
    ("retry_on", "attempts"),
    [("[status]", 2), ("[expectation]", 2), ("[timeout]", 1), ("[status, timeout]", 2), ("[{status: 5xx}]", 2)],
)
def test_it_is_tried_again_on_whatever_was_missed(run: Callable[..., Result], retry_on: str, attempts: int) -> None:
    """An error page misses the status and the body; either can cause a retry."""
    with run_http_server({"/": respond(500, b"oops")}) as server:
        keys = f"expect: [{{body: {{contains: cart}}}}], retries: 1, retry_on: {retry_on}"
        assert run("http", server.url(), keys).attempts == attempts


def test_an_expectation_that_was_not_evaluated_causes_no_retry(run: Callable[..., Result]) -> None:
    """After a timeout, the status is unknown, which is not a wrong status."""
    with run_http_server({"/": hold()}) as server:
        assert run("http", server.url(), "timeout: 200ms, retries: 1, retry_on: [status]").attempts == 1


def stall(connection: Any) -> None:
    """Read and send nothing for a second."""
    connection.recv(65536)
    time.sleep(1)


def test_a_timeout_says_in_which_phase_it_struck(run: Callable[..., Result]) -> None:
    """Every type names the phase as in its metric; the time is written as people write it."""
    banner = "expect: [{banner: {exists: true}}]"
    for check_type, target, keys in (("http", "https://127.0.0.1:9/", ""), ("tcp", "127.0.0.1:9", "tls: true"),
                                     ("dns", "x.test", 'server: "127.0.0.1:9", transport: tls')):  # fmt: skip
        assert run(check_type, target, keys).reason is Reason.CONNECT_REFUSED  # the TLS contexts are made by now
    with (
        black_hole() as hole,
        run_dns_server() as names,
        serve(stall) as stalling,
        serve(keep_silent) as silent,
        run_http_server({"/": hold(), "/body": drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100)}) as web,
    ):
        lost = f'resolver: "{names.server}"'
        phases = {
            ("http", "http://silent.test/", lost): "resolve",
            ("tcp", "silent.test:1", lost): "resolve",
            ("dns", "x.test", f"server: silent.test, {lost}"): "resolve",
            ("http", f"http://127.0.0.1:{hole}/", ""): "connect",
            ("tcp", f"127.0.0.1:{hole}", ""): "connect",
            ("dns", "x.test", f'server: "127.0.0.1:{hole}", transport: tcp'): "connect",
            ("http", f"https://{stalling.target}/", ""): "tls",
            ("tcp", stalling.target, "tls: true"): "tls",
            ("dns", "x.test", f'server: "{stalling.target}", transport: tls'): "tls",
            ("http", web.url(), ""): "processing",
            ("json-http", web.url("/body"), ""): "transfer",
            ("tcp", silent.target, banner): "banner",
            ("dns", "x.test", f'server: "{silent.target}", transport: tcp'): "request",
        }  # fmt: skip
        details = {case: run(*case[:2], f"timeout: 254ms, {case[2]}").detail for case in phases}
    assert details == {case: f"not done within the timeout of 254 ms, in the phase {phases[case]}" for case in phases}


@pytest.mark.parametrize(
    ("operator", "operand", "value", "observed"),
    [
        ("lt", 100, "42", '"42" (text)'),
        ("lt", 100, 142, "142"),
        ("lt", 100, 142.5, "142.5"),
        ("ge", 5, 4.989999771118164, "4.99"),
        ("ge", 5, True, "true (boolean)"),
        ("ge", 5, [1, 2], "[1, 2] (array)"),
        ("eq", 5, "5", '"5" (text)'),
        ("eq", "5", 5, "5 (number)"),
        ("eq", "ok", "down", "down"),
        ("eq", True, "true", '"true" (text)'),
        ("eq", True, 1, "1 (number)"),
        ("eq", "ok", None, ""),
        ("eq", {"a": 1}, [{"a": 1}], '[{"a": 1}] (array)'),
        ("in", ["a", "b"], 1, "1 (number)"),
        ("in", ["a", 2], 1, "1"),
        ("any_of", ["a"], ["b"], '["b"]'),
        ("all_of", [1], "1", '"1" (text)'),
        ("contains", "x", 5, "5 (number)"),
        ("contains", "x", ["y"], '["y"]'),
        ("matches", Pattern("x"), 5, "5"),
        ("matches", Pattern("x"), {"x": 1}, '{"x": 1} (object)'),
        ("ne", 5, 5, "5"),
        ("none_of", ["5"], "5", "5"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_says_so(operator: Operator, operand: object, value: Any, observed: str) -> None:
    """A value of the wrong JSON type is shown with its type."""
    subject = Subject(name="json", kind=ValueKind.JSON, description="")
    expectation = Expectation(label="it", subject=subject, operator=operator, operand=operand)
    [outcome] = evaluate([expectation], {"json": value})
    assert (outcome.ok, outcome.observed) == (False, observed)


@pytest.mark.parametrize(
    ("kind", "value", "observed"),
    [
        (ValueKind.DURATION, 0.2541234, "254 ms"), (ValueKind.DURATION, 2.0, "2 s"),
        (ValueKind.DURATION, 1234.5678, "1234.568 s"), (ValueKind.DURATION, 0.00032149, "321 us"),
        (ValueKind.DURATION, 0.0, "0 s"), (ValueKind.DURATION, 3600, "3600 s"),
        (ValueKind.NUMBER, 12345678.5, "12345678.5"),
        (ValueKind.NUMBER, 0.1 + 0.2, "0.3"), (ValueKind.NUMBER, 1e-07, "0.0000001"), (ValueKind.NUMBER, -4.5, "-4.5"),
        (ValueKind.NUMBER, 21.0, "21"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_people_write_them(kind: ValueKind, value: float, observed: str) -> None:
    """There is no exponent, no false precision, and a blank before the unit."""
    subject = Subject(name="it", kind=kind, description="")
    [outcome] = evaluate([Expectation(label="it", subject=subject, operator="exists", operand=True)], {"it": value})
    assert outcome.observed == observed


def endings(result: Result) -> list[object]:
    """The log lines about the end of an attempt."""
    return [dict(line.fields) for line in result.log if line.message == "ended"]


def test_the_log_says_how_each_attempt_ended(run: Callable[..., Result]) -> None:
    """The last line of every attempt has its number and verdict, and the reason and detail unless it is ok."""
    with run_http_server({"/": respond(500), "/good": respond(200)}) as server:
        good = run("http", server.url("/good"))
        bad = run("http", server.url("/"), "retries: 1, retry_delay: 0s")
    detail = "expected status in 2xx, observed 500"
    assert endings(good) == [{"attempt": 1, "status": "ok"}]
    assert endings(bad) == [
        {"attempt": number, "status": "error", "reason": "status", "detail": detail} for number in (1, 2)
    ]
    assert (good.log[-1].message, bad.log[-1].message) == ("ended", "ended")


def test_the_log_says_that_an_attempt_was_cut_off(run: Callable[..., Result]) -> None:
    """A timeout also ends an attempt."""
    with serve(keep_silent) as server:
        result = run("tcp", server.target, "timeout: 300ms, expect: [{banner: {matches: x}}]")
    detail = "not done within the timeout of 300 ms, in the phase banner"
    assert endings(result) == [{"attempt": 1, "status": "error", "reason": "timeout", "detail": detail}]


class Counting(Pattern):
    """A pattern that counts how often it is searched for."""

    searches = 0

    def found_in(self, text: str) -> bool:
        self.searches += 1
        return super().found_in(text)


def test_a_regular_expression_is_searched_for_once_per_run(runner: AsyncCheckRunner) -> None:
    """The metric about regular expressions follows from the verdict without another search."""
    pattern = Counting("hel+o")
    with run_http_server({"/": respond(body=b"hello")}) as server:
        text = f"checks: [{{name: it, type: http, target: '{server.url()}', expect: [{{body: {{matches: 'hel+o'}}}}]}}]"
        (check,) = parse_config(text, "checks.yml", TYPES).checks
        expectations = [
            replace(one, operand=pattern) if one.operator == "matches" else one for one in check.expectations
        ]
        results: list[Result] = []
        runner.run_all(
            [Check(name="it", check_type="http", target=server.url(), expectations=tuple(expectations))], results.append
        )
    assert (results[0].status, pattern.searches) == (ResultStatus.OK, 1)
    assert [one.value for one in results[0].measurements if one.spec.name == "probe_failed_due_to_regex"] == [0.0]
