"""ScrapeService: selection, joining, reloads and complete pages, with the real runner."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import BlockingPortalProvider
from prometheus_client import ProcessCollector

from exporter.checks.base import CheckType
from exporter.errors import UnknownCheckTypeError
from exporter.exposition.families import BATCH_JOINED, MetricFamilies
from exporter.exposition.page import Format
from exporter.model import Batch, Check, MetricSpec, Result
from exporter.runner.runner import AsyncCheckRunner
from exporter.scrape.history import History
from exporter.scrape.service import ScrapeRequest, ScrapeService, Selection, UnknownCheckNameError
from tests.protobuf import families_of
from tests.scraping import (
    EXAMPLE,
    TYPES,
    Config,
    Live,
    Prepared,
    check,
    measured,
    metrics_page,
    parsed,
    probe_page,
    registry_of,
    samples,
)
from tests.servers.executors import Healthy
from tests.servers.prometheus import check_metrics
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from exporter.exposition.page import Page


class Gated(Healthy):
    """Holds its checks until the gate is opened, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.executions: Counter[str] = Counter()

    @property
    def started(self) -> int:
        return self.executions.total()

    async def execute(self, check: Check) -> Result:
        self.executions[check.name] += 1
        while not self.gate.is_set():  # noqa: ASYNC110 - the gate is opened by another thread
            await asyncio.sleep(0.005)
        return measured(check.name)


@pytest.fixture
def gated() -> Iterator[Gated]:
    """An executor whose checks wait for the test; they are released at the end."""
    executor = Gated()
    yield executor
    executor.gate.set()


@pytest.fixture
def runner(gated: Gated) -> Iterator[AsyncCheckRunner]:
    """The real runner on a warm loop, with the gated executor for the example type."""
    registry = registry_of(EXAMPLE)
    registry.register("example", gated)
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with provider:
        yield AsyncCheckRunner(provider, registry)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that scrape, like the server's."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def service_of(runner: Any, live: Live, **options: Any) -> ScrapeService:
    return ScrapeService(runner, live, registry_of(EXAMPLE), **{"history": History(), "version": "1.2.3", **options})


def request(*names: str, **fields: Any) -> ScrapeRequest:
    return ScrapeRequest(selection=Selection(check_names=frozenset(names)), **fields)


def lines(page: Page, name: str = "") -> dict[str, str]:
    return samples(page.body.decode(), name)


@contextmanager
def joined_within(service: ScrapeService, number: int) -> Iterator[None]:
    """Wait until so many more scrapes have joined a batch."""
    counters = service._records.counters.batches.counters
    before = counters[BATCH_JOINED]
    yield
    wait_until(lambda: counters[BATCH_JOINED] == before + number)


def test_a_whole_page(runner: AsyncCheckRunner, gated: Gated) -> None:
    """The page has the families in the order of the catalogue, ends with those of the process, and passes promtool."""
    gated.gate.set()
    page = metrics_page(service_of(runner, Live(check("a"), check("b"))))
    text = page.body.decode()
    check_metrics(text)
    shown = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")]
    in_order = [family.name for family in MetricFamilies(TYPES).families if family.name in shown]
    assert shown[: len(in_order)] == in_order
    assert shown[len(in_order) :] == [
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
    ]
    assert (page.content_type, page.content_encoding) == (Format.TEXT.value, "")


def test_a_page_in_the_requested_format(runner: AsyncCheckRunner, gated: Gated) -> None:
    """Format and compression are those of the request; prometheus_client's strict parser accepts the page."""
    gated.gate.set()
    wanted = ScrapeRequest(exposition_format=Format.OPENMETRICS, compress=True)
    page = metrics_page(service_of(runner, Live(check())), wanted)
    assert (page.content_type, page.content_encoding) == (Format.OPENMETRICS.value, "gzip")
    families = {family.name: family for family in parsed(gzip.decompress(page.body).decode(), Format.OPENMETRICS)}
    assert families["nyxmon_check_runs"].samples[0].value == 1.0


def test_the_page_has_the_exporters_own_metrics(runner: AsyncCheckRunner, gated: Gated) -> None:
    """The page has the version, the state of the configuration and the number of checks."""
    gated.gate.set()
    live = Live(check("a"), check("b"))
    live.last_reload_successful = False
    page = lines(metrics_page(service_of(runner, live), request("a")), "nyxmon_exporter_.*")
    build, *others = page.items()
    assert build[0].endswith(',version="1.2.3"}')
    assert others == [
        ("nyxmon_exporter_config_last_reload_successful", "0.0"),
        ("nyxmon_exporter_config_last_reload_success_timestamp_seconds", "1.7000000005e+09"),
        ("nyxmon_exporter_resolver_threads", "0.0"),
        ("nyxmon_exporter_check_threads", "0.0"),
        ("nyxmon_exporter_event_loops_replaced_total", "0.0"),
        ("nyxmon_exporter_checks", "2.0"),
    ]


def test_a_probe_page_is_about_one_check_only(runner: AsyncCheckRunner, gated: Gated) -> None:
    """It has only the gauges of the check, without its labels; the run is counted like any other."""
    gated.gate.set()
    service = service_of(runner, Live(check("a"), check("b")))
    page = probe_page(service, "a")
    check_metrics(page.body.decode())
    assert all(series.startswith("probe_") and "check=" not in series for series in lines(page))
    assert lines(page, "probe_example_size_bytes") == {"probe_example_size_bytes": "1.234567e+06"}
    runs = lines(metrics_page(service), "nyxmon_check_runs_total")
    assert list(runs.values()) == ["2.0", "1.0"]
    assert [len(service.history.runs(name).recent) for name in ("a", "b")] == [2, 1]


CHECKS = (
    check("a", labels={"team": "web", "zone": "x"}),
    check("b", labels={"team": "db", "zone": "x"}),
    check("c", check_type="other"),
)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), ["a", "b", "c"]),
        (Selection(check_names=frozenset("cb")), ["b", "c"]),
        (Selection(check_types=frozenset(["example"])), ["a", "b"]),
        (Selection(check_types=frozenset(["example", "other"])), ["a", "b", "c"]),
        (Selection(labels=frozenset([("team", "web")])), ["a"]),
        (Selection(labels=frozenset([("team", "web"), ("team", "db")])), ["a", "b"]),
        (Selection(labels=frozenset([("team", "web"), ("zone", "y")])), []),
        (Selection(check_names=frozenset("bc"), check_types=frozenset(["other"])), ["c"]),
    ],
)
def test_a_selection_decides_before_anything_runs(selection: Selection, names: list[str]) -> None:
    """Values of one kind are alternatives, and all kinds must match; other checks do not run."""
    prepared = Prepared(*(measured(each.name) for each in CHECKS))
    service = service_of(prepared, Live(*CHECKS))
    page = lines(metrics_page(service, ScrapeRequest(selection=selection)), "probe_success")
    assert prepared.asked == [names]
    assert len(page) == len(names)


@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        (Selection(check_names=frozenset(["a", "y", "x"])), UnknownCheckNameError, "no check is named 'x', 'y'"),
        (
            Selection(check_types=frozenset(["htttp"])),
            UnknownCheckTypeError,
            "no executor is registered for check type 'htttp'; registered types: example, other",
        ),
    ],
)
def test_a_selection_of_the_unknown_is_rejected(selection: Selection, error: type[Exception], message: str) -> None:
    """An unknown check or type is an error before anything runs, rather than an empty page."""
    prepared = Prepared()
    with pytest.raises(error) as caught:
        metrics_page(service_of(prepared, Live(*CHECKS)), ScrapeRequest(selection=selection))
    assert (str(caught.value), prepared.asked) == (message, [])


def test_a_probe_of_the_unknown_is_rejected() -> None:
    """The page of an unknown check is an error."""
    prepared = Prepared()
    with pytest.raises(UnknownCheckNameError, match="no check is named 'nobody'"):
        probe_page(service_of(prepared, Live(*CHECKS)), "nobody")
    assert prepared.asked == []


def test_names_filter_the_page_but_not_the_run() -> None:
    """`name[]` shows a part of the page; all selected checks run for it."""
    prepared = Prepared(*(measured(each.name) for each in CHECKS))
    names = frozenset(["nyxmon_batch_checks", "process_start_time_seconds"])
    page = metrics_page(service_of(prepared, Live(*CHECKS)), ScrapeRequest(names=names))
    assert list(lines(page)) == ["nyxmon_batch_checks", "process_start_time_seconds"]
    assert prepared.asked == [["a", "b", "c"]]


def test_scrapes_of_the_same_join(runner: AsyncCheckRunner, gated: Gated, threads: ThreadPoolExecutor) -> None:
    """Overlapping scrapes get one batch, each in its own format, and the run is counted once."""
    service = service_of(runner, Live(check("a"), check("b")))
    first = threads.submit(metrics_page, service)
    wait_until(lambda: gated.started == 2)
    with joined_within(service, 3):
        others = [
            threads.submit(metrics_page, service, ScrapeRequest(exposition_format=each, budget_seconds=20.0))
            for each in (Format.TEXT, Format.OPENMETRICS, Format.PROTOBUF)
        ]
    gated.gate.set()
    pages = [future.result(10.0) for future in (first, *others)]
    assert gated.started == 2
    formats = (Format.TEXT, Format.TEXT, Format.OPENMETRICS, Format.PROTOBUF)
    assert [page.content_type for page in pages] == [each.value for each in formats]
    runs = families_of(pages.pop().body)["nyxmon_check_runs_total"].metric
    assert [metric.counter.value for metric in runs] == [1.0, 1.0]
    assert lines(pages[0], "probe_.*") == lines(pages[1], "probe_.*")
    for page in pages:
        assert list(lines(page, "nyxmon_check_runs_total").values()) == ["1.0", "1.0"]
        assert list(lines(page, "nyxmon_batch_joined_scrapes_total").values()) == ["3.0"]
        assert list(lines(page, "probe_result_age_seconds").values()) == ["0.0", "0.0"]


def test_a_scrape_in_a_hurry_does_not_join(runner: AsyncCheckRunner, gated: Gated, threads: ThreadPoolExecutor) -> None:
    """A scrape does not wait for a batch that may end after the scrape's deadline."""
    service = service_of(runner, Live(check()))
    patient = threads.submit(metrics_page, service, ScrapeRequest(budget_seconds=60.0))
    wait_until(lambda: gated.started == 1)
    began = time.monotonic()
    page = metrics_page(service, ScrapeRequest(budget_seconds=0.2))
    assert time.monotonic() - began < 10
    assert list(lines(page, "probe_success").values()) == ["0.0"]
    gated.gate.set()
    assert list(lines(patient.result(10.0), "probe_success").values()) == ["1.0"]
    assert gated.started == 2


def test_different_selections_run_independently(
    runner: AsyncCheckRunner, gated: Gated, threads: ThreadPoolExecutor
) -> None:
    """Scrapes of different checks do not wait for each other, and a probe is a separate scrape."""
    service = service_of(runner, Live(check("a"), check("b")))
    futures = [
        threads.submit(metrics_page, service, request("a")),
        threads.submit(metrics_page, service, request("b")),
        threads.submit(metrics_page, service, request("a", "b")),
        threads.submit(probe_page, service, "a"),
    ]
    wait_until(lambda: gated.started == 5)
    gated.gate.set()
    assert [len(lines(future.result(10.0), "probe_success")) for future in futures] == [1, 1, 2, 1]


def test_a_scrape_after_the_batch_runs_anew(runner: AsyncCheckRunner, gated: Gated) -> None:
    """Only a running batch is joined; no result is cached."""
    gated.gate.set()
    service = service_of(runner, Live(check()))
    for _ in range(3):
        metrics_page(service)
    assert gated.started == 3


class Breaking:
    """A runner that fails once it is released."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.runs = 0

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
        given_up: Future[None] | None = None,
    ) -> Batch:
        self.runs += 1
        self.gate.wait(10.0)
        raise RuntimeError("broken")


def test_a_broken_batch_fails_all_that_joined(threads: ThreadPoolExecutor) -> None:
    """If the exporter itself cannot run, every waiting scrape gets an error, and the next one tries again."""
    breaking = Breaking()
    service = service_of(breaking, Live(check()))
    first = threads.submit(metrics_page, service)
    wait_until(lambda: breaking.runs == 1)
    with joined_within(service, 1):
        second = threads.submit(metrics_page, service, ScrapeRequest(budget_seconds=20.0))
    breaking.gate.set()
    for future in (first, second):
        with pytest.raises(RuntimeError, match="broken"):
            future.result(10.0)
    with pytest.raises(RuntimeError, match="broken"):
        metrics_page(service)
    assert breaking.runs == 2


def test_a_reload_drops_what_is_gone_and_keeps_what_stays(runner: AsyncCheckRunner, gated: Gated) -> None:
    """Series, totals and history of removed checks disappear; those of others continue."""
    gated.gate.set()
    live = Live(check("stays"), check("goes"))
    service = service_of(runner, live)
    metrics_page(service)
    live.current = Config((check("new"), check("stays", timeout_seconds=3.0)))
    page = lines(metrics_page(service), "nyxmon_check_runs_total")
    assert [(series.partition('"')[2].partition('"')[0], value) for series, value in page.items()] == [
        ("new", "1.0"),
        ("stays", "2.0"),
    ]
    assert [len(service.history.runs(name).recent) for name in ("stays", "goes", "new")] == [2, 0, 1]


def test_a_reload_during_a_scrape(runner: AsyncCheckRunner, gated: Gated, threads: ThreadPoolExecutor) -> None:
    """A running scrape keeps its configuration; a new one does not join it, and old checks leave nothing behind."""
    live = Live(check("old"))
    service = service_of(runner, live)
    before = threads.submit(metrics_page, service)
    wait_until(lambda: gated.started == 1)
    live.current = Config((check("new"),))
    after = threads.submit(metrics_page, service, ScrapeRequest(budget_seconds=20.0))
    wait_until(lambda: gated.started == 2)
    gated.gate.set()
    pages = [lines(future.result(10.0), "nyxmon_check_runs_total") for future in (before, after)]
    assert [list(page) for page in pages] == [
        [f'nyxmon_check_runs_total{{check="{name}",check_type="example",target="{name}.example"}}']
        for name in ("old", "new")
    ]
    assert [len(service.history.runs(name).recent) for name in ("old", "new")] == [0, 1]


def test_time_to_write_the_page_is_set_aside() -> None:
    """The time that the last page took is subtracted from the checks' budget, but at most a fifth of it."""
    budgets: list[float] = []

    class Noting(Prepared):
        def run_all(
            self,
            checks: Iterable[Check],
            result_received: Callable[[Result], object],
            *,
            budget_seconds: float | None = None,
            given_up: Future[None] | None = None,
        ) -> Batch:
            assert budget_seconds is not None
            budgets.append(budget_seconds)
            return super().run_all(checks, result_received, budget_seconds=budget_seconds, given_up=given_up)

    checks = [check(str(number)) for number in range(200)]
    service = service_of(Noting(*(measured(each.name) for each in checks)), Live(*checks))
    metrics_page(service)
    metrics_page(service)
    everything = service.choose(Selection())
    service.run_batch(everything, service.join(everything, 0.001).in_flight)
    assert budgets[0] == pytest.approx(10.0, abs=0.01)
    assert 8.0 <= budgets[1] < 10.0
    assert budgets[2] <= 0.0008


def test_many_selections_do_not_fill_the_memory() -> None:
    """A client that tries all selections gets its pages, but few of them are kept."""
    checks = [check(str(number)) for number in range(30)]
    service = service_of(Prepared(), Live(*checks))
    for first in range(30):
        for second in range(30):
            for third in range(3):
                service._prepared.choose(Selection(check_names=frozenset(map(str, (first, second, third)))))
    kept = service._prepared._prepared_scrapes.values()
    assert sum(choice.size for choice in kept) <= 2 * 30 + 1000


def test_a_configuration_larger_than_the_bound_is_prepared_once(runner: AsyncCheckRunner) -> None:
    """The requested selection stays prepared, however large."""
    service = service_of(runner, Live(*(check(str(number)) for number in range(2000))))
    assert service._prepared.choose(Selection()) is service._prepared.choose(Selection())
    assert service._prepared.choose_one("7") is service._prepared.choose_one("7")


@pytest.mark.parametrize("limits", ["", "Max open files            unlimited            unlimited            files\n"])
def test_an_odd_proc_does_not_cost_the_page(tmp_path: Path, limits: str) -> None:
    """If the metrics of the process cannot be read, the page has none."""
    (tmp_path / "stat").write_text("btime 1\n")
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "self" / "stat").write_text("1 (x) " + " ".join(map(str, range(50))))
    (tmp_path / "self" / "limits").write_text(limits)
    process = ProcessCollector(proc=str(tmp_path), registry=None)
    page = metrics_page(service_of(Prepared(), Live(), process=process))
    assert "process_" not in page.body.decode()
    assert "nyxmon_exporter_checks 0.0" in page.body.decode()


def test_an_unfit_plugin_is_rejected_at_start() -> None:
    """A check type with invalid metrics stops the program before it serves."""
    unfit = CheckType(
        name="mine", description="", executor=lambda _: Healthy(), metrics=(MetricSpec(name="nyxmon_x", help=""),)
    )
    fault = "check type mine has the metric 'nyxmon_x', which has a prefix that is reserved"
    with pytest.raises(ValueError, match=fault):
        ScrapeService(Prepared(), Live(), registry_of(unfit), history=History(), version="")


def test_overlapping_scrapes_of_everything(runner: AsyncCheckRunner, gated: Gated, threads: ThreadPoolExecutor) -> None:
    """Many concurrent scrapes of all kinds, with reloads, get valid pages, and no run is counted twice."""
    gated.gate.set()
    checks = tuple(check(f"check {number}", phase_histograms=True) for number in range(20))
    live = Live(*checks)
    service = service_of(runner, live)

    def scrape(number: int) -> None:
        live.current = Config(checks[: 10 + number % 10])
        metrics = metrics_page(service, ScrapeRequest() if number % 2 else request("check 1", f"check {number % 10}"))
        check_page(metrics.body.decode())
        check_page(probe_page(service, "check 2").body.decode())

    def check_page(page: str) -> None:
        series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
        assert len(set(series)) == len(series)

    for future in [threads.submit(scrape, number) for number in range(60)]:
        future.result(20.0)
    live.current = Config(checks)
    page = lines(metrics_page(service), "nyxmon_check_runs_total")
    runs = {series.partition('"')[2].partition('"')[0]: float(value) for series, value in page.items()}
    assert {name: runs[name] for name in runs if int(name.split()[1]) < 10} == {
        f"check {number}": gated.executions[f"check {number}"] for number in range(10)
    }
