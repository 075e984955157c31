"""Scrapes that went wrong leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, ExecutorRegistry, Reason, Result
from exporter.config import parse_config
from tests.alone import alone
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import keep_silent, serve

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from exporter import Check


def checks_against(url: str, secure_url: str, count: int) -> tuple[Check, ...]:
    """HTTP, HTTPS, TCP and DNS checks of servers that never answer."""
    place = url.removeprefix("http://").rstrip("/")
    kinds = (
        f"type: http, target: '{url}'",
        f"type: http, target: '{secure_url}'",
        f"type: tcp, target: '{place}', expect: [{{banner: hello}}]",
        f"type: dns, target: www.test, server: '{place}', transport: tcp",
    )
    lines = (f"  - {{name: c{number}, {kinds[number % len(kinds)]}}}\n" for number in range(count))
    return parse_config("checks:\n" + "".join(lines), "checks.yml", ExecutorRegistry.with_builtins().check_types).checks


def leftovers(portal: BlockingPortal) -> tuple[int, int, int]:
    """Open file descriptors, tasks on the loop, threads.

    AnyIO's idle workers do not count: there are as many as batches overlapped, and one that is cut off may do so.
    """
    time.sleep(0.5)  # for the loop to close what is closing
    tasks = portal.call(asyncio.all_tasks)
    threads = [each.name for each in threading.enumerate() if not each.name.startswith("AnyIO worker")]
    return len(os.listdir("/proc/self/fd")), len(tasks), len(threads)  # noqa: PTH208 - the number alone


def test_fifty_scrapes_that_were_cut_off_leave_nothing_behind() -> None:
    """Descriptors, tasks and threads are as many as before, and healthy checks succeed afterwards."""
    with serve(keep_silent) as silent, run_http_server({"/": respond(200)}) as healthy:
        before, after = alone(counts_around_fifty_scrapes, silent.target, healthy.url())
    assert after == before


def counts_around_fifty_scrapes(silent: str, healthy_url: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with provider as portal:
        runner = AsyncCheckRunner(provider)
        hanging = checks_against(f"http://{silent}/", f"https://{silent}/", 80)
        results: list[Result] = []
        runner.run_all(hanging, results.append, budget_seconds=0.3)
        assert {result.reason for result in results} == {Reason.DEADLINE}
        before = leftovers(portal)
        for _ in range(50):
            runner.run_all(hanging, lambda _: None, budget_seconds=0.1)
        after = leftovers(portal)
        assert all_succeed(runner, healthy_url)
    return before, after


def all_succeed(runner: AsyncCheckRunner, url: str) -> bool:
    """Run twenty healthy checks."""
    lines = (f"  - {{name: h{number}, type: http, target: '{url}'}}\n" for number in range(20))
    checks = parse_config("checks:\n" + "".join(lines), "checks.yml", runner.registry.check_types).checks
    results: list[Result] = []
    runner.run_all(checks, results.append, budget_seconds=30.0)
    return [result.reason for result in results] == [None] * 20
