"""Named values: what `values` exports of real answers, and what is absent and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.config import parse_config
from exporter.exposition.families import MetricFamilies
from exporter.exposition.page import Format, write_page
from exporter.scrape.collector import CheckCollector
from tests.checks.running import measured, warm_runner
from tests.servers.http import respond, run_http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner

TYPES = {"http": HTTP, "json-http": JSON_HTTP}
DOCUMENT = {
    "queue": {"depth": 17, "oldest": 2.5},
    "on": True,
    "off": False,
    "text": "42",
    "word": "many",
    "null": None,
    "list": [1, 2, 3],
    "jobs": [{"ok": True}, {"ok": False}],
}
VALUES = """{depth: $.queue.depth, oldest: $.queue.oldest, "on": $.on, "off": $.off, as_text: {json: $.text},
    text: {json: $.text, as: number}, number: {json: $.queue.depth, as: number}, word: {json: $.word, as: number},
    missing: $.missing, nothing: $.null, several: "$.list[*]", list: $.list, failed: "count($.jobs[?@.ok == false])"}"""
EXPECTED = {
    "depth": 17.0, "oldest": 2.5, "on": 1.0, "off": 0.0, "text": 42.0, "number": 17.0, "failed": 1.0,
}  # fmt: skip
ABSENT = [
    ("as_text", "not a number: 42"),
    ("word", "not a number: many"),
    ("missing", "nothing was found"),
    ("nothing", "nothing was found"),
    ("several", "not a number: [1, 2, 3]"),
    ("list", "not a number: [1, 2, 3]"),
]


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner for both types whose loop stays warm."""
    with warm_runner(HTTP, JSON_HTTP) as runner:
        yield runner


def values_of(result: Result) -> dict[str, float]:
    return {
        series.removeprefix("probe_value{").removesuffix("}"): value
        for series, value in measured(result).items()
        if series.startswith("probe_value{")
    }


def run(runner: AsyncCheckRunner, url: str, keys: str, check_type: str = "json-http") -> Result:
    text = f"checks: [{{name: it, type: {check_type}, target: '{url}', {keys}}}]"
    results: list[Result] = []
    runner.run_all(parse_config(text, "checks.yml", TYPES).checks, results.append)
    return results[0]


@pytest.mark.parametrize("check_type", ["http", "json-http"])
@pytest.mark.parametrize("padding_bytes", [0, 300_000], ids=["small", "judged apart"])
def test_numbers_are_exported_and_what_is_not_one_is_absent(
    runner: AsyncCheckRunner, check_type: str, padding_bytes: int
) -> None:
    """Flags are 0 and 1, and texts are numbers on request; the log says why a value is absent."""
    body = json.dumps({**DOCUMENT, "padding": ["x" * 10] * (padding_bytes // 14)}).encode()
    with run_http_server({"/": respond(200, body)}) as server:
        result = run(runner, server.url(), f"values: {VALUES}", check_type)
    assert values_of(result) == EXPECTED
    assert [(line.fields["value"], line.fields["why"]) for line in result.log if line.message == "no value"] == ABSENT


def test_an_expectation_and_a_value_read_a_large_answer_alike(runner: AsyncCheckRunner) -> None:
    """The judging process also reads numbers from texts and allows for missing values."""
    body = json.dumps({**DOCUMENT, "padding": ["x" * 10] * 30_000}).encode()
    expect = """{json: $.text, gt: 41, as: number}, {json: $.gone, eq: 5, missing_ok: true},
        {any: [{json: $.on, eq: 5}, {json: $.text, in: [42], as: number}]}"""
    with run_http_server({"/": respond(200, body)}) as server:
        result = run(runner, server.url(), f"expect: [{expect}]")
    assert [outcome.ok for outcome in result.expectations] == [True] * 4
    assert any(line.message == "judging apart" for line in result.log)


def test_an_error_page_that_is_json_has_values(runner: AsyncCheckRunner) -> None:
    """Values are exported whatever the verdict; a body that is not JSON has none."""
    with run_http_server({"/": respond(503, b'{"depth": 3}'), "/html": respond(200, b"<p>")}) as server:
        assert values_of(run(runner, server.url(), "values: {depth: $.depth}")) == {"depth": 3.0}
        assert values_of(run(runner, server.url("/html"), "values: {depth: $.depth}", "http")) == {}


def test_the_values_are_on_the_page(runner: AsyncCheckRunner) -> None:
    """One family for all types, with the name as its label."""
    text = "checks: [{name: it, type: http, target: '%s', values: {depth: $.depth}}]"
    with run_http_server({"/": respond(200, b'{"depth": 3}')}) as server:
        checks = parse_config(text % server.url(), "checks.yml", TYPES).checks
        collector = CheckCollector(runner, checks, MetricFamilies(TYPES))
        page = write_page(collector.blocks(collector.run(5.0)), Format.TEXT).body.decode()
    target = server.url()
    assert f'probe_value{{check="it",check_type="http",target="{target}",value="depth"}} 3.0\n' in page
