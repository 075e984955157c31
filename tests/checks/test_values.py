"""Named values: what `values` exports of real answers, and what is absent and why."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.checks.http_steps import HTTP_STEPS
from exporter.config import parse_config
from exporter.exposition.families import MetricFamilies
from exporter.exposition.page import Format, write_page
from exporter.model import ResultStatus
from exporter.scrape.collector import CheckCollector
from tests.checks.running import measured, warm_runner
from tests.servers.http import respond, run_http_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.nginx import Nginx

TYPES = {"http": HTTP, "json-http": JSON_HTTP, "http-steps": HTTP_STEPS}
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
    """A runner for these types whose loop stays warm."""
    with warm_runner(HTTP, JSON_HTTP, HTTP_STEPS) as runner:
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


PAGE = b"<p>Visitors today: 1204</p><p>Version 7</p>"
TEXT_VALUES = """{visitors: {body: 'Visitors today: (\\d+)'}, version: {body: '\\d$|(?:Version )(?P<n>\\d)'},
    match: {body: '\\d{4}'}, gone: {body: 'Errors: (\\d+)'}, words: {body: '<p>(\\w+)'},
    max_age: {header: strict-transport-security, matches: 'max-age=(\\d+)'}, age: {header: Age},
    no_such: {header: X-None}, other: {header: Server, matches: '[0-9.]+$'}}"""


@pytest.mark.parametrize("padding_bytes", [0, 300_000], ids=["small", "judged apart"])
def test_numbers_are_found_in_text_and_in_header_fields(
    runner: AsyncCheckRunner, padding_bytes: int, start_nginx: Callable[..., Nginx], tmp_path: Path
) -> None:
    """A regular expression finds a number in a page or a header field; what is not one is absent."""
    (tmp_path / "index.html").write_bytes(PAGE + b" " * padding_bytes)
    nginx = start_nginx(
        f"""server {{ listen {{port}}; root {tmp_path};
            add_header Strict-Transport-Security "max-age=31536000; includeSubDomains"; add_header Age 60; }}"""
    )
    result = run(runner, nginx.url(), f"values: {TEXT_VALUES}", "http")
    assert values_of(result) == {
        "visitors": 1204.0, "version": 7.0, "match": 1204.0, "max_age": 31536000.0, "age": 60.0,
    }  # fmt: skip
    assert [(line.fields["value"], line.fields["why"]) for line in result.log if line.message == "no value"] == [
        ("gone", "nothing was found"),
        ("words", "not a number: Visitors"),
        ("no_such", "nothing was found"),
        ("other", "nothing was found"),
    ]


@pytest.mark.parametrize("padding_bytes", [0, 300_000], ids=["small", "judged apart"])
def test_a_hash_shows_when_a_page_changes(
    runner: AsyncCheckRunner, padding_bytes: int, start_nginx: Callable[..., Nginx], tmp_path: Path
) -> None:
    """The number is the same for the same content, however it is sent, and another for another."""
    nginx = start_nginx(f"server {{ listen {{port}}; root {tmp_path}; gzip on; gzip_min_length 1; gzip_types *; }}")
    seen: list[float] = []
    for page, keys in ((PAGE, ""), (PAGE, "compression: gzip,"), (PAGE + b"!", "")):
        (tmp_path / "index.html").write_bytes(page + b" " * padding_bytes)
        seen += values_of(run(runner, nginx.url(), f"{keys} values: {{page: {{hash: body}}}}", "http")).values()
    first, again, changed = seen
    digest = sha256(PAGE + b" " * padding_bytes).hexdigest()
    assert (first, again) == (float(int(digest[:12], 16)), first)
    assert changed != first


def test_the_hash_of_a_page_can_be_expected(
    runner: AsyncCheckRunner, start_nginx: Callable[..., Nginx], tmp_path: Path
) -> None:
    """It is what sha256sum prints; another one fails the check."""
    (tmp_path / "index.html").write_bytes(PAGE)
    nginx = start_nginx(f"server {{ listen {{port}}; root {tmp_path}; }}")
    printed = subprocess.run(["sha256sum", tmp_path / "index.html"], capture_output=True, text=True, check=True).stdout
    expected, other = printed.split()[0], sha256(b"").hexdigest()
    good = run(runner, nginx.url(), f"expect: [{{body_sha256: {expected}}}]", "http")
    bad = run(runner, nginx.url(), f"expect: [{{body_sha256: {other}}}]", "http")
    assert (good.status, bad.status) == (ResultStatus.OK, ResultStatus.ERROR)
    assert bad.detail == f"expected body_sha256 eq {other}, observed {expected}"


def test_steps_have_the_same_values(
    runner: AsyncCheckRunner, start_nginx: Callable[..., Nginx], tmp_path: Path
) -> None:
    """Each step finds its own in its own response."""
    (tmp_path / "index.html").write_bytes(PAGE)
    nginx = start_nginx(
        f"server {{ listen {{port}}; root {tmp_path}; add_header Age 60; location /no {{ return 404; }} }}"
    )
    steps = """[{name: page, values: {visitors: {body: 'today: ([0-9]+)'}, age: {header: age}, page: {hash: body}}},
        {name: gone, url: /no, expect: [{status: 404}], values: {none: {header: Age}, code: {body: '[0-9]+'}}}]"""
    result = run(runner, nginx.url(), f"steps: {steps}", "http-steps")
    digest = float(int(sha256(PAGE).hexdigest()[:12], 16))
    assert values_of(result) == {"visitors": 1204.0, "age": 60.0, "page": digest, "code": 404.0}
