"""Reloads during scrapes: nothing is lost, nothing of an earlier configuration returns, and nothing breaks."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exporter.checks.base import CheckType
from exporter.config import LiveConfig, load_config
from exporter.exposition.families import MetricFamilies
from exporter.model import Batch, MetricSpec
from exporter.runner.registry import ExecutorRegistry
from exporter.scrape.collector import CheckCollector
from exporter.scrape.history import History
from exporter.scrape.records import Records
from exporter.scrape.service import ScrapeRequest, ScrapeService
from exporter.scrape.status_changes import StatusChanges
from tests.scraping import (
    EXAMPLE,
    TYPES,
    Config,
    Live,
    Prepared,
    check,
    failed,
    measured,
    metrics_page,
    registry_of,
    samples,
)
from tests.servers.executors import Healthy

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.model import Check

KNOWN = MetricFamilies(TYPES)
RELOADS, SCRAPERS, SCRAPES = 200, 4, 50


def service_of(live: Live, *results: str, history: History | None = None) -> ScrapeService:
    runner = Prepared(*map(measured, results))
    return ScrapeService(runner, live, registry_of(EXAMPLE), history=history or History(), version="0")


def test_reloads_in_a_loop_beside_scrapes() -> None:
    """Each run of a remaining check is counted once, and no run of a removed or moved check is left."""
    stays, moves, elsewhere, goes = check("stays"), check("moves"), check("moves", target="elsewhere"), check("goes")
    stages = [Config((stays, moves, goes)), Config((elsewhere, stays)), Config((stays,))]
    live, history = Live(*stages[0].checks), History(runs_per_check=SCRAPERS * SCRAPES + 1)
    service = service_of(live, "stays", "moves", "goes", history=history)
    begin = threading.Barrier(SCRAPERS + 1)

    def scrape(_: int) -> None:
        begin.wait()
        for _ in range(SCRAPES):
            page = metrics_page(service).body.decode()
            assert 'probe_success{check="stays",check_type="example",target="stays.example"} 1.0' in page

    with ThreadPoolExecutor(SCRAPERS) as threads:
        scrapes = [threads.submit(scrape, number) for number in range(SCRAPERS)]
        begin.wait()
        for number in range(RELOADS):
            live.current = stages[number % len(stages)]
        for future in scrapes:
            future.result(60.0)
    live.current = stages[-1]
    page = service.page_without_run(ScrapeRequest()).body.decode()
    joined = samples(page, "nyxmon_batch_joined_scrapes_total")["nyxmon_batch_joined_scrapes_total"]
    runs = SCRAPERS * SCRAPES - float(joined)
    assert samples(page, "nyxmon_check_runs_total") == {
        'nyxmon_check_runs_total{check="stays",check_type="example",target="stays.example"}': str(runs)
    }
    assert [len(history.runs(name).recent) for name in ("stays", "moves", "goes")] == [runs, 0, 0]


@pytest.mark.parametrize("after", [[], [check("one", target="elsewhere")]])
def test_a_result_of_an_earlier_configuration_is_not_recorded(
    after: list[Check], caplog: pytest.LogCaptureFixture
) -> None:
    """A check that a reload removed or moved while it ran adds no counter, no run and no log line."""
    records = Records(changes=StatusChanges())
    records.retain([check()])
    collector = CheckCollector(Prepared(failed()), [check()], KNOWN, records=records)
    records.retain(after)
    with caplog.at_level(logging.INFO):
        collector.run(1.0)
    assert [each.runs for each in records.counters.of_checks([check()])] == [0]
    assert (records.history.runs("one").recent, caplog.messages) == ((), [])


def test_a_result_of_earlier_settings_does_not_replace_the_last_result() -> None:
    """The minimum interval of the current check continues when a run with earlier settings ends after it."""
    records, now = Records(), check(min_interval_seconds=60.0)
    before = CheckCollector(Prepared(measured()), [check(min_interval_seconds=30.0)], KNOWN, records=records)
    records.retain([now])
    CheckCollector(Prepared(measured()), [now], KNOWN, records=records).run(1.0)
    before.run(1.0)
    last = records.reusable(now)
    assert last is not None
    assert last.check is now


def test_a_scrape_of_an_earlier_configuration_does_not_bring_its_settings_back() -> None:
    """A scrape that began before a reload, and is prepared late, leaves the new settings of a check alone."""
    records = Records()
    records.retain([check(phase_histograms=True)])
    (counters,) = records.counters.of_checks([check(phase_histograms=False)])
    records.counters.count([(counters, measured())], None)
    assert set(counters.phases) == {"connect", "answer"}


def test_a_reload_happens_before_the_next_scrape() -> None:
    """When the reload has ended, the runs of a removed check are gone, and the next page is laid out."""
    live, history = Live(check("stays"), check("goes")), History()
    service = service_of(live, "stays", "goes", history=history)
    metrics_page(service)
    live.current = Config((check("stays"),))
    assert [len(history.runs(name).recent) for name in ("stays", "goes")] == [1, 0]
    assert len(service._prepared._prepared_scrapes) == 1


def test_a_configuration_that_cannot_be_shown_is_rejected(tmp_path: Path) -> None:
    """If the scrape's part of a reload fails, the old configuration and its records stay."""
    file, registry = tmp_path / "checks.yml", ExecutorRegistry.with_builtins()
    file.write_text("checks: [{name: one, type: tcp, target: 'a.example:1'}]\n", encoding="utf-8")
    spec = MetricSpec(name="nyxmon_x", help="")
    plugin = CheckType(name="x", description="", executor=lambda _: Healthy(), metrics=(spec,))
    first = load_config(file, registry.check_types)
    live = LiveConfig(lambda: replace(load_config(file, registry.check_types), plugins=(plugin,)), first)
    service = ScrapeService(Prepared(measured()), live, registry, history=History(), version="0")
    metrics_page(service)
    file.write_text("checks: [{name: two, type: tcp, target: 'a.example:1'}]\n", encoding="utf-8")
    before = live.current
    with pytest.raises(ValueError, match="reserved"):
        live.reload()
    assert (live.current is before, live.last_reload_successful) == (True, False)
    assert len(service.history.runs("one").recent) == 1
    assert "x" not in registry.check_types


def test_a_batch_is_still_counted_after_a_reload() -> None:
    """The metrics of the batch itself do not depend on the configuration."""
    records = Records()
    records.retain([])
    records.record([], Batch(checks=0, duration_seconds=0.5, budget_seconds=None, http_requests=3), started=0.0)
    assert 3 in records.counters.batches.counters.values()
