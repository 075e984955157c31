"""Hostile answers beside healthy ones: the loop goes on, memory stays, and the reasons are true."""

from __future__ import annotations

import asyncio
import gzip
import re
import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.checks.tcp import TCP
from exporter.config.load import parse_config
from exporter.gc_tuning import collections_paused
from exporter.model import Reason, ResultStatus
from tests.alone import alone
from tests.checks.running import warm_runner
from tests.servers.exporter import run_exporter
from tests.servers.http import encoded, gzip_bomb, raw, respond, run_http_server
from tests.servers.process import children_of
from tests.servers.tcp import say, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import Check, Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import Act

MIB = 1 << 20
TYPES = {"http": HTTP, "json-http": JSON_HTTP, "tcp": TCP}
COSTLY = "(.*a){20}"
HOPELESS = "(.*a){100}"
WIDE = b"[" + b"0," * (MIB // 2 - 8) + b"0]"
OBJECTS = b"[" + b"{}," * (MIB // 3 - 8) + b"{}]"

ACTS: dict[str, Act] = {
    "/": respond(200, b'{"status": "ok"}', [("Content-Type", "application/json")]),
    "/letters": respond(200, b"a" * (MIB - 1)),
    "/wide": respond(200, WIDE),
    "/objects": respond(200, OBJECTS),
    "/deep": respond(200, b"[" * (MIB - 1)),
    "/bytes": respond(200, b"\x81" * (MIB - 1), [("Content-Type", "text/html; charset=windows-1252")]),
    "/fields": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + b"X-A: a\r\n" * 7000 + b"\r\nok"),
    "/long-field": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: " + b"a" * 60_000 + b"\r\n\r\nok"),
    "/long-location": raw(b"HTTP/1.1 201 OK\r\nContent-Length: 2\r\nLocation: /" + b"a" * 60_000 + b"\r\n\r\nok"),
    "/cut-off": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\nX-A: " + b"a" * 60_000 + b"\r\n\r\nok"),
    "/bomb": encoded("gzip", gzip_bomb(200 * MIB)),
    "/packed": encoded("gzip", gzip.compress(b"a" * (24 * MIB))),
}

HOSTILE: dict[str, tuple[str, str, set[Reason | None]]] = {
    "/letters": ("http", f"expect: [{{body: {{matches: '{COSTLY}'}}}}]", {None, Reason.TIMEOUT}),
    "/letters?hopeless": ("http", f"expect: [{{body: {{matches: '{HOPELESS}'}}}}]", {Reason.TIMEOUT}),
    "/wide": ("json-http", "expect: [{json: '$[*]', contains: 1}]", {Reason.TIMEOUT, Reason.TOO_LARGE}),
    "/wide?all": ("http", "expect: [{json: '$..*', exists: true}]", {Reason.TIMEOUT, Reason.TOO_LARGE}),
    "/objects": (
        "http",
        "expect: [" + ", ".join(f"{{json: '$[?@.a == {n}]', exists: false}}" for n in range(20)) + "]",
        {Reason.TIMEOUT, Reason.TOO_LARGE},
    ),
    "/deep": ("json-http", "expect: [{json: '$..*', exists: true}]", {Reason.DECODE}),
    "/bytes": ("http", f"expect: [{{body: {{not_matches: '{COSTLY}'}}}}]", {None}),
    "/fields": ("http", f"expect: [{{header: X-A, matches: '{COSTLY}'}}]", {Reason.EXPECTATION}),
    "/long-field": ("http", f"expect: [{{header: X-A, matches: '{COSTLY}b'}}]", {Reason.EXPECTATION}),
    "/long-location": ("http", f"expect: [{{location: {{matches: '{COSTLY}'}}}}]", {None}),
    "/cut-off": ("http", f"expect: [{{header: X-A, matches: '{COSTLY}'}}]", {Reason.PROTOCOL}),
    "/bomb": ("http", "body_size_limit: 100MiB", {Reason.TOO_LARGE}),
    "/packed": ("http", "body_size_limit: 100MiB, expect: [{body: {contains: aaa}}]", {None}),
}


SCRIPT = {**ACTS, **{path: ACTS[path.partition("?")[0]] for path in HOSTILE}}


class Beat(NamedTuple):
    """One beat of the loop: time that passed since the last, and processor time that the loop's thread used."""

    wall_seconds: float
    busy_seconds: float


def make_check(name: str, check_type: str, target: str, keys: str = "", timeout: str = "20s") -> Check:
    """Return the check with these keys."""
    text = f'checks: [{{name: "{name}", type: {check_type}, target: "{target}", timeout: {timeout}, {keys}}}]'
    (check,) = parse_config(text, "checks.yml", TYPES).checks
    return check


@contextmanager
def heartbeats(runner: AsyncCheckRunner) -> Iterator[list[Beat]]:
    """Record the beats of the runner's loop for the duration of the block."""
    beats: list[Beat] = []

    async def beat() -> None:
        wall, busy = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            before, wall = wall, time.perf_counter()
            busy_before, busy = busy, time.thread_time()
            beats.append(Beat(wall - before, busy - busy_before))

    # A collection goes through all that the test run has made, and counts for whichever thread begins it.
    with runner.portal_provider as portal, collections_paused():
        future = portal.start_task_soon(beat)
        yield beats
        future.cancel()


def run_all(runner: AsyncCheckRunner, checks: list[Check]) -> dict[str, Result]:
    results: list[Result] = []
    runner.run_all(checks, results.append)
    return {result.check_name: result for result in results}


def healthy_checks(url: str) -> list[Check]:
    keys = "expect: [{json: $.status, eq: ok}]"
    return [make_check(f"healthy {number}", "json-http", f"{url}/", keys, timeout="5s") for number in range(5)]


def hostile_checks(url: str) -> list[Check]:
    paths = [path for path in HOSTILE if "100MiB" not in HOSTILE[path][1]]
    return [make_check(path, HOSTILE[path][0], url + path, HOSTILE[path][1], timeout="500ms") for path in paths]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_answer_does_not_keep_the_loop(path: str) -> None:
    """No turn of the loop takes 20 ms of processor time, the reason is right, and other checks are in time."""
    acts = {**ACTS, path: ACTS[path.partition("?")[0]]}
    with run_http_server(acts) as server, warm_runner(*TYPES.values()) as runner:
        url = server.url("")
        healthy = [
            make_check(f"healthy {n}", "json-http", url + "/", "expect: [{json: $.status, eq: ok}]") for n in range(5)
        ]
        run_all(runner, healthy)
        kind, keys, reasons = HOSTILE[path]
        with heartbeats(runner) as beats:
            results = run_all(runner, [make_check("hostile", kind, url + path, keys), *healthy])
    assert results["hostile"].reason in reasons
    assert {results[check.name].status for check in healthy} == {ResultStatus.OK}
    assert max(beat.busy_seconds for beat in beats) < 0.02


def test_a_long_banner_does_not_keep_the_loop() -> None:
    """A slow pattern is searched for only at the start of a banner of 64 KiB."""
    with serve(say(b"a" * 65536)) as server, warm_runner(*TYPES.values()) as runner:
        check = make_check(
            "banner", "tcp", f"127.0.0.1:{server.port}", f"expect: [{{banner: {{matches: '{COSTLY}b'}}}}]"
        )
        with heartbeats(runner) as beats:
            result = run_all(runner, [check])["banner"]
    assert result.reason is Reason.EXPECTATION
    assert max(beat.busy_seconds for beat in beats) < 0.02


def test_judging_ends_with_the_timeout() -> None:
    """A check whose answer is still being judged when its time is up ends in time, and says so."""
    with run_http_server(ACTS) as server, warm_runner(*TYPES.values()) as runner:
        keys = "expect: [{json: '$[*]', contains: 1}]"
        check = make_check("hostile", "http", server.url("/wide"), keys, timeout="400ms")
        started = time.perf_counter()
        result = run_all(runner, [check])["hostile"]
        took_seconds = time.perf_counter() - started
    phase = f"in the phase transfer: its answer of {len(WIDE)} bytes was being judged"
    detail = f"not done within the timeout of 400 ms, {phase}"
    assert (result.reason, result.detail) == (Reason.TIMEOUT, detail)
    assert took_seconds < 1.5


def scrape_repeatedly() -> tuple[int, int, list[str]]:
    with run_http_server(SCRIPT) as server, warm_runner(*TYPES.values()) as runner:
        healthy = healthy_checks(server.url(""))
        checks = [*hostile_checks(server.url("")), *healthy]
        run_all(runner, healthy)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        failed: list[str] = []
        for _ in range(10):
            results = run_all(runner, checks)
            failed += [check.name for check in healthy if results[check.name].status is not ResultStatus.OK]
    return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, failed


@pytest.mark.slow
def test_hostile_answers_do_not_add_up() -> None:
    """After ten batches of hostile answers, memory has grown by only a few bodies, and no healthy check has failed."""
    before_kib, after_kib, failed = alone(scrape_repeatedly)
    assert failed == []
    assert after_kib - before_kib < 80 << 10


def test_the_exporter_leaves_no_process_behind(tmp_path: Path) -> None:
    """A whole exporter judges hostile and large answers beside a healthy one, and its processes end with it."""
    with run_http_server(SCRIPT) as server:
        config = f"""
checks:
  - {{name: healthy, type: json-http, target: "{server.url("/")}", expect: [{{json: $.status, eq: ok}}]}}
  - {{name: hostile, type: http, target: "{server.url("/wide")}", expect: [{{json: "$[*]", contains: 1}}], timeout: 3s}}
  - {{name: large, type: http, target: "{server.url("/letters")}", expect: [{{body: {{matches: "^a+$"}}}}]}}
"""
        with run_exporter(tmp_path, config) as exporter:
            _, page = exporter.get("/metrics")
            left = children_of(exporter.process.pid)
    assert 1 <= len(left) <= 2
    success = re.findall(r'^probe_success{check="(\w+)".*} ([0-9.]+)$', page, re.MULTILINE)
    assert {name: float(value) for name, value in success} == {"healthy": 1, "hostile": 0, "large": 1}
    assert re.search(r'^probe_failure_info{check="hostile",.*reason="(timeout|too_large)".* 1', page, re.MULTILINE)
    wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in left))
