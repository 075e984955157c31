"""What is kept after use: nothing of earlier configurations after a reload, nothing of a batch after its scrape."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, Check, ExecutorRegistry, Result
from exporter.config import LiveConfig, load_config
from exporter.gc_tuning import collections_paused
from exporter.http.message import WireRequest
from exporter.scrape.history import History
from exporter.scrape.service import ScrapeService
from tests.scraping import metrics_page
from tests.servers.tcp import closed_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

CHECKS, RELOADS = 500, 3


def configuration(generation: int, port: int) -> str:
    """Five hundred checks with a token each."""
    lines = [
        f"- {{name: check-{number}, type: http, target: 'http://127.0.0.1:{port}/{number}',"
        f" bearer_token: token-{generation}-{number}, timeout: 2s}}"
        for number in range(CHECKS)
    ]
    return "\n".join(["checks:", *lines, ""])


def alive(kind: type, *, collect: bool = True) -> int:
    if collect:
        gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_a_reload_leaves_nothing_of_earlier_configurations(tmp_path: Path) -> None:
    """After three reloads and scrapes, only the current checks and their requests are alive."""
    file, registry = tmp_path / "checks.yml", ExecutorRegistry.with_builtins()
    before = alive(Check), alive(WireRequest)
    with closed_port() as port:
        file.write_text(configuration(0, port), encoding="utf-8")
        live = LiveConfig(lambda: load_config(file, registry.check_types), load_config(file, registry.check_types))
        runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
        service = ScrapeService(runner, live, registry, history=History(), version="0")
        for generation in range(1, RELOADS + 1):
            metrics_page(service)
            file.write_text(configuration(generation, port), encoding="utf-8")
            live.reload()
        metrics_page(service)
    assert (alive(Check) - before[0], alive(WireRequest) - before[1]) == (CHECKS, CHECKS)


def test_a_scrape_frees_its_results_without_the_garbage_collector(tmp_path: Path) -> None:
    """No cycle keeps a batch: the collector runs so rarely that the results of many scrapes would pile up."""
    file, registry = tmp_path / "checks.yml", ExecutorRegistry.with_builtins()
    with closed_port() as port, collections_paused():
        file.write_text(configuration(0, port), encoding="utf-8")
        live = LiveConfig(lambda: load_config(file, registry.check_types), load_config(file, registry.check_types))
        before = alive(Result)  # each check keeps the one that its executor returns
        runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
        service = ScrapeService(runner, live, registry, history=History(), version="0")
        metrics_page(service)
        wait_until(lambda: alive(Result, collect=False) == before)
