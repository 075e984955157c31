"""A small check type with every kind of series, and matching checks, results and runners of prepared results."""

from __future__ import annotations

import re
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.checks.base import CheckType
from exporter.exposition.families import MetricFamilies
from exporter.exposition.layout import SeriesLayout
from exporter.exposition.page import Format, write_page
from exporter.exposition.probe_metrics import Outcome, probe_blocks
from exporter.masking import unmasked
from exporter.model import (
    Batch,
    Check,
    Expectation,
    ExpectationOutcome,
    Measurement,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    Severity,
    Subject,
    ValueKind,
)
from exporter.runner.registry import ExecutorRegistry
from exporter.scrape.service import ScrapeRequest
from tests.servers.executors import Healthy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    from exporter.exposition.page import Page
    from exporter.exposition.series import Block
    from exporter.masking import Mask
    from exporter.scrape.prepared import PreparedScrape
    from exporter.scrape.service import ScrapeService

PHASES = MetricSpec(
    name="probe_example_duration_seconds",
    help='Time of each phase; "0" when it was \\ not reached.',
    labels=("phase",),
    defaults=((("connect",), 0.0), (("answer",), 0.0)),
)
SIZE = MetricSpec(name="probe_example_size_bytes", help="Size of the answer; 0 without one.", defaults=(((), 0.0),))
EXPIRY = MetricSpec(name="probe_example_expiry_timestamp_seconds", help="When it expires; absent when unknown.")
VERSION = MetricSpec(name="probe_example_version_info", help="1 with the version spoken.", labels=("alpha", "version"))

EXAMPLE = CheckType(
    name="example",
    description="An example.",
    executor=lambda _context: Healthy(),
    metrics=(PHASES, SIZE, EXPIRY, VERSION),
)
TYPES = {"example": EXAMPLE}


def registry_of(*check_types: CheckType) -> ExecutorRegistry:
    """A registry of these check types."""
    registry = ExecutorRegistry()
    for check_type in check_types:
        registry.register_type(check_type)
    return registry


TEXT_FORMATS = (Format.TEXT, Format.OPENMETRICS)
"""The formats that prometheus_client can write and parse."""

STATUS = Subject(name="status", kind=ValueKind.STATUS, description="The status.", reason=Reason.STATUS)
BODY = Subject(name="body", kind=ValueKind.TEXT, description="The body.")
STATUS_OK = Expectation(label="status eq 200", subject=STATUS, operator="eq", operand=200)
BODY_OK = Expectation(
    label='body contains "ok"', subject=BODY, operator="contains", operand="ok", severity=Severity.WARNING
)


def check(name: str = "one", **fields: Any) -> Check:
    """A check of the example type."""
    return Check(**{"name": name, "check_type": "example", "target": f"{name}.example", **fields})


def measured(name: str = "one", **fields: Any) -> Result:
    """A successful result in which everything was measured."""
    measurements = (
        Measurement(PHASES, 0.25, ("connect",)),
        Measurement(PHASES, 0.125, ("answer",)),
        Measurement(SIZE, 1234567.0),
        Measurement(EXPIRY, 1.7e9),
        Measurement(VERSION, 1.0, ("first", "TLS 1.3")),
    )
    common: dict[str, Any] = {"attempts": 1, "duration_seconds": 0.375, "timeout_seconds": 5.0}
    return Result(**{"check_name": name, "status": ResultStatus.OK, "measurements": measurements, **common, **fields})


def failed(name: str = "one", reason: Reason = Reason.CONNECT_REFUSED, **fields: Any) -> Result:
    """A failed result in which nothing was measured."""
    common: dict[str, Any] = {"attempts": 1, "duration_seconds": 0.5, "timeout_seconds": 5.0}
    return Result(**{"check_name": name, "status": ResultStatus.ERROR, "reason": reason, **common, **fields})


def outcome_of(expectation: Expectation, *, ok: bool, value: float = float("nan")) -> ExpectationOutcome:
    return ExpectationOutcome(expectation=expectation, ok=ok, value=value)


class Prepared:
    """A CheckRunner that returns given results, and reports a given batch."""

    def __init__(self, *results: Result, **batch: Any) -> None:
        self.results = {result.check_name: result for result in results}
        self.batch = batch
        self.asked: list[list[str]] = []

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
        given_up: Future[None] | None = None,
    ) -> Batch:
        names = [each.name for each in checks]
        self.asked.append(names)
        for name in names:
            if name in self.results:
                result_received(self.results[name])
        return Batch(checks=len(names), duration_seconds=0.5, budget_seconds=budget_seconds, **self.batch)


class Config(NamedTuple):
    """A configuration with only checks."""

    checks: tuple[Check, ...]
    plugins: tuple[CheckType, ...] = ()


class Live:
    """A live configuration that a test can replace."""

    last_reload_successful = True
    last_reload_success_timestamp_seconds = 1700000000.5

    def __init__(self, *checks: Check) -> None:
        self.masks: Mask = unmasked
        self._subscribers: list[Callable[[Config], object]] = []
        self._lock = Lock()
        self.current = Config(checks)

    @property
    def current(self) -> Config:
        return self._current

    @current.setter
    def current(self, config: Config) -> None:
        with self._lock:
            for take_over in self._subscribers:
                take_over(config)
            self._current = config

    def subscribe(self, take_over: Callable[[Config], object]) -> None:
        with self._lock:
            take_over(self._current)
            self._subscribers.append(take_over)


def outcome_of_batch(
    results: Sequence[Result],
    batch: Batch,
    *,
    ages: Sequence[float] | None = None,
    in_maintenance: Sequence[bool] | None = None,
    since: Sequence[float] | None = None,
) -> Outcome:
    """The outcome of new results outside of maintenance, with the same start of their states."""
    number = len(results)
    return Outcome(
        results, ages or [0.0] * number, batch, in_maintenance or [False] * number, since or [1700000000.25] * number
    )


def metrics_page(service: ScrapeService, scrape: ScrapeRequest | None = None) -> Page:
    """The page of a scrape of `/metrics`, on the calling thread; blocks until it is written."""
    scrape = scrape or ScrapeRequest()
    return _page(service, partial(service.choose, scrape.selection), scrape, whole=True)


def probe_page(service: ScrapeService, check_name: str) -> Page:
    """The page of a scrape of `/probe`, on the calling thread; blocks until it is written."""
    return _page(service, partial(service.choose_one, check_name), ScrapeRequest(), whole=False)


def _page(service: ScrapeService, choose: Callable[[], PreparedScrape], scrape: ScrapeRequest, *, whole: bool) -> Page:
    prepared_scrape = choose()
    ticket = service.join(prepared_scrape, scrape.budget_seconds)
    try:
        if ticket.is_first:
            service.run_batch(prepared_scrape, ticket.in_flight)
        return service.write(prepared_scrape, ticket.in_flight.outcome.result(), scrape, whole=whole)
    finally:
        prepared_scrape.in_flight.leave(ticket)


def probe_text(*pairs: tuple[Check, Result], labelled: bool = True, exposition_format: Format = Format.TEXT) -> str:
    """The gauges of results, as text."""
    known = MetricFamilies(TYPES)
    layout = SeriesLayout([each for each, _ in pairs], known, labelled=labelled)
    results = {result.check_name: result for _, result in pairs}
    batch = Batch(checks=len(pairs), duration_seconds=0.5, budget_seconds=None)
    outcome = outcome_of_batch([results[each.name] for each in layout.checks], batch)
    return write_page(probe_blocks(layout, outcome, known), exposition_format).body.decode()


def samples(page: str, name: str = "") -> dict[str, str]:
    """The samples of a page in the text format: series to value, as written."""
    pairs = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {series: value for series, _, value in pairs if re.match(rf"{name}(\{{|$)", series) or not name}


def reference(collector: Collector, exposition_format: Format) -> str:
    """The output of prometheus_client for a collector."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    if exposition_format is Format.TEXT:
        return generate_latest(registry).decode()
    page: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call] # prometheus_client's own
    return page.decode()


def parsed(page: str, exposition_format: Format = Format.TEXT) -> list[Metric]:
    """The families that prometheus_client's parser finds on a page."""
    parse = parse_text if exposition_format is Format.TEXT else parse_openmetrics
    families: Iterable[Metric] = parse(page)
    return list(families)


class Blocks:
    """A prometheus_client collector of the given blocks."""

    def __init__(self, convert: Callable[[Block], Metric], *blocks: Block) -> None:
        self.metrics = [convert(block) for block in blocks]

    def collect(self) -> list[Metric]:
        return self.metrics
