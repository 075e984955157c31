"""What is left after scrapes that went wrong: nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, ExecutorRegistry, Reason, Result
from exporter.config import parse_config
from tests.servers.http import HttpServer, respond, run_http_server
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
    """Open file descriptors, tasks on the loop, threads."""
    gc.collect()
    tasks = portal.call(asyncio.all_tasks)
    return len(list(Path("/proc/self/fd").iterdir())), len(tasks), threading.active_count()


def test_fifty_scrapes_that_were_cut_off_leave_nothing_behind() -> None:
    """Connections, descriptors, tasks and threads are as before, and healthy checks succeed afterwards."""
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with serve(keep_silent) as silent, run_http_server({"/": respond(200)}) as healthy, provider as portal:
        runner = AsyncCheckRunner(provider)
        hanging = checks_against(f"http://{silent.target}/", f"https://{silent.target}/", 80)
        results: list[Result] = []
        runner.run_all(hanging, results.append, budget_seconds=0.3)
        assert {result.reason for result in results} == {Reason.DEADLINE}
        before = leftovers(portal)
        for _ in range(50):
            runner.run_all(hanging, lambda _: None, budget_seconds=0.1)
        after = settled(portal, before)
        assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
        assert all_succeed(runner, healthy)


def settled(portal: BlockingPortal, before: tuple[int, int, int]) -> tuple[int, int, int]:
    """Give the leftovers once the loop and the peers have had a moment to close what is closing."""
    until = time.monotonic() + 5.0
    while any(now > then for now, then in zip(leftovers(portal), before, strict=True)) and time.monotonic() < until:
        time.sleep(0.05)
    return leftovers(portal)


def all_succeed(runner: AsyncCheckRunner, server: HttpServer) -> bool:
    """Run twenty healthy checks."""
    lines = (f"  - {{name: h{number}, type: http, target: '{server.url()}'}}\n" for number in range(20))
    checks = parse_config("checks:\n" + "".join(lines), "checks.yml", runner.registry.check_types).checks
    results: list[Result] = []
    runner.run_all(checks, results.append, budget_seconds=5.0)
    return [result.reason for result in results] == [None] * 20
