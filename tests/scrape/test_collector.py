"""CheckCollector with the real runner, and with prometheus_client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import BlockingPortalProvider
from prometheus_client import CollectorRegistry, generate_latest

from exporter.errors import UnknownCheckTypeError
from exporter.exposition.families import MetricFamilies
from exporter.exposition.page import Format, write_page
from exporter.exposition.series import single
from exporter.model import Batch, Check, Reason, Result
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner
from exporter.scrape.collector import CheckCollector, block_of, metric_of
from exporter.scrape.records import Records
from tests.scraping import (
    EXAMPLE,
    STATUS_OK,
    TEXT_FORMATS,
    TYPES,
    Blocks,
    Prepared,
    check,
    failed,
    measured,
    outcome_of,
    parsed,
    reference,
    samples,
)
from tests.servers.executors import Healthy, Never, Raising
from tests.servers.prometheus import check_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

KNOWN = MetricFamilies(TYPES)


@pytest.fixture
def provider() -> Iterator[BlockingPortalProvider]:
    """A portal provider whose loop stays warm for the test, as in the program."""
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with provider:
        yield provider


class Measuring(Healthy):
    """Measures everything the example type declares, and counts its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.executions = 0

    async def execute(self, check: Check) -> Result:
        self.executions += 1
        return measured(check.name, observed={"status": 200})


def collector_of(
    provider: BlockingPortalProvider, *checks: Check, budget_seconds: float | None = 10.0, **executors: Any
) -> CheckCollector:
    registry = ExecutorRegistry()
    registry.register_type(EXAMPLE)
    for name, executor in executors.items():
        registry.register(name, executor)
    runner = AsyncCheckRunner(provider, registry)
    return CheckCollector(runner, checks, KNOWN, budget_seconds=budget_seconds)


def page_of(collector: CheckCollector) -> str:
    return write_page(collector.blocks(collector.run(10.0)), Format.TEXT).body.decode()


def test_describing_runs_nothing(provider: BlockingPortalProvider) -> None:
    """Registering lists every possible family, and runs no check."""
    example = Measuring()
    collector = collector_of(provider, check(), example=example)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    described = [metric.name for metric in collector.describe()]
    assert example.executions == 0
    collected = [metric.name for metric in collector.collect()]
    assert [name for name in described if name in collected] == collected
    assert example.executions == 1


@pytest.mark.parametrize("exposition_format", TEXT_FORMATS)
def test_both_views_show_the_same(exposition_format: Format) -> None:
    """The collector's output in prometheus_client is byte for byte the page."""
    checks = [check("a", expectations=(STATUS_OK,), labels={"team": "web"}), check("b", phase_histograms=True)]
    began: dict[str, Any] = {"started_timestamp_seconds": 1.7e9}
    expectations = (outcome_of(STATUS_OK, ok=True, value=200.0),)
    results = [measured("a", expectations=expectations, **began), failed("b", **began)]
    ours, theirs = (CheckCollector(Prepared(*results), checks, KNOWN) for _ in range(2))
    page = write_page(ours.blocks(ours.run(1.0)), exposition_format).body.decode()
    assert page == reference(theirs, exposition_format)
    assert "probe_failure_info" in page


def test_a_restricted_registry_finds_the_collector(provider: BlockingPortalProvider) -> None:
    """`name[]` of prometheus_client works, because the families are described."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector_of(provider, check(), example=Measuring()))
    page = generate_latest(registry.restricted_registry(["probe_success"])).decode()
    assert samples(page) == {'probe_success{check="one",check_type="example",target="one.example"}': "1.0"}


def test_each_collection_is_one_batch(provider: BlockingPortalProvider) -> None:
    """Counters and histograms accumulate over collections; gauges are created anew."""
    collector = collector_of(provider, check("a"), check("b"), example=Measuring())
    for number in (1.0, 2.0):
        values = {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}
        assert values["nyxmon_check_runs_total"] == number
        assert values["nyxmon_check_duration_seconds_count"] == number
        assert values["nyxmon_batch_duration_seconds_count"] == number
        assert values["nyxmon_batch_checks"] == 2.0


def test_a_page_of_the_real_runner_is_sound(provider: BlockingPortalProvider) -> None:
    """Promtool and both parsers accept a page on which everything goes wrong."""
    checks = [
        check("fine", expectations=(STATUS_OK,)),
        check("raising", check_type="raising"),
        check("slow", check_type="never", timeout_seconds=0.05),
    ]
    executors: dict[str, Any] = {
        "example": Measuring(),
        "raising": Raising(RuntimeError('no "way"\n')),
        "never": Never(),
    }
    collector = collector_of(provider, *checks, **executors)
    outcome = collector.run(5.0)
    page = write_page(collector.blocks(outcome), Format.TEXT).body.decode()
    check_metrics(page)
    openmetrics = write_page(collector.blocks(outcome), Format.OPENMETRICS).body.decode()
    assert [family.name for family in parsed(openmetrics, Format.OPENMETRICS)] == [
        family.name for family in parsed(page)
    ]
    assert list(samples(page, "probe_success").values()) == ["1.0", "0.0", "0.0"]
    assert [series.partition("reason=")[2].partition(",")[0] for series in samples(page, "probe_failure_info")] == [
        '"internal"',
        '"timeout"',
    ]


def test_checks_cut_off_by_the_budget_have_all_their_series(provider: BlockingPortalProvider) -> None:
    """A scrape that runs out of time still returns the whole page in time."""
    checks = [check(str(number), check_type="never") for number in range(20)]
    collector = collector_of(provider, *checks, budget_seconds=0.1, never=Never())
    began = time.perf_counter()
    metrics = {metric.name: metric for metric in collector.collect()}
    assert time.perf_counter() - began < 8  # the checks would take ten seconds
    assert [sample.value for sample in metrics["probe_success"].samples] == [0.0] * 20
    assert {sample.labels["reason"] for sample in metrics["probe_failure_info"].samples} == {"deadline"}
    assert metrics["nyxmon_batch_deadline_exceeded"].samples[0].value == 20.0


def test_a_type_without_executor_is_an_error_of_the_exporter(provider: BlockingPortalProvider) -> None:
    """The exporter cannot run then, and the scrape must not look successful."""
    with pytest.raises(UnknownCheckTypeError, match="nobody"):
        collector_of(provider, check(check_type="nobody")).collect()


def test_a_check_without_result_is_a_failed_check() -> None:
    """If a custom runner loses a result, the check keeps its series."""
    collector = CheckCollector(Prepared(measured("a")), [check("a"), check("b")], KNOWN)
    outcome = collector.run(1.0)
    assert [(result.check_name, result.reason) for result in outcome.results] == [("a", None), ("b", Reason.RUNNER)]


def test_an_empty_configuration_is_not_an_error(provider: BlockingPortalProvider) -> None:
    """The page of an empty configuration is only about the batch."""
    page = page_of(collector_of(provider))
    assert samples(page, "nyxmon_batch_checks") == {"nyxmon_batch_checks": "0.0"}
    assert "probe_" not in page


class FailingRunner:
    """A runner that delivers one result and then fails."""

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
        given_up: Future[None] | None = None,
    ) -> Batch:
        result_received(measured(next(iter(checks)).name))
        raise RuntimeError("broken")


def test_results_before_a_breakdown_are_recorded() -> None:
    """Results that were delivered before the runner failed are recorded and counted, and the error is raised."""
    records = Records()
    collector = CheckCollector(FailingRunner(), [check("a"), check("b")], KNOWN, records=records)
    with pytest.raises(RuntimeError, match="broken"):
        collector.collect()
    assert [len(records.history.runs(name).recent) for name in ("a", "b")] == [1, 0]
    assert [totals.runs for totals in records.counters.of_checks([check("a"), check("b")])] == [1, 0]


def test_within_the_minimum_interval_a_result_is_shown_again() -> None:
    """A check is not run again within its minimum interval; its result has an age and is counted once."""
    rare, often = check("rare", min_interval_seconds=60.0), check("often")
    runner = Prepared(measured("rare", duration_seconds=7.0), measured("often"))
    collector = CheckCollector(runner, [rare, often], KNOWN)
    first, second = collector.run(1.0), collector.run(1.0)
    assert runner.asked == [["rare", "often"], ["often"]]
    assert first.results == second.results
    assert first.ages == [0.0, 0.0]
    assert 0.0 < second.ages[0] < 60.0
    page = write_page(collector.blocks(second), Format.TEXT).body.decode()
    assert list(samples(page, "nyxmon_check_runs_total").values()) == ["1.0", "2.0"]
    assert samples(page, "nyxmon_batch_checks") == {"nyxmon_batch_checks": "1.0"}


def test_after_the_minimum_interval_a_check_runs_again() -> None:
    """The interval begins with the start of the run."""
    runner = Prepared(measured())
    collector = CheckCollector(runner, [check(min_interval_seconds=0.05)], KNOWN)
    collector.run(1.0)
    time.sleep(0.06)
    collector.run(1.0)
    assert runner.asked == [["one"], ["one"]]


@pytest.mark.parametrize(("result", "again"), [(failed(), False), (failed(reason=Reason.DEADLINE, attempts=0), True)])
def test_failures_are_shown_again_unless_the_check_did_not_start(result: Result, again: bool) -> None:
    """A failed run counts; a check that could not start did not reach the target, so it runs again."""
    runner = Prepared(result)
    collector = CheckCollector(runner, [check(min_interval_seconds=60.0)], KNOWN)
    collector.run(1.0)
    collector.run(1.0)
    assert runner.asked == [["one"], ["one"] if again else []]


@pytest.mark.parametrize(
    ("result", "again"), [(failed(), True), (failed(reason=Reason.EXPECTATION), False), (measured(), False)]
)
def test_a_failure_is_not_repeated_for_half_a_day(result: Result, again: bool) -> None:
    """After ten minutes, a check that got no response runs again, whatever its minimum interval."""
    records, rare = Records(), check(min_interval_seconds=43200.0)
    (counters,), (states,) = records.counters.of_checks([rare]), records.states.of_checks([rare])
    records.record([(rare, counters, states, result)], None, started=time.monotonic() - 600.0)
    assert (records.reusable(rare) is None) is again


def test_a_changed_check_does_not_reuse_old_results() -> None:
    """After a reload with other settings, the minimum interval starts again."""
    runner, records = Prepared(measured()), Records()
    for timeout_seconds in (1.0, 2.0, 2.0):
        subject = check(min_interval_seconds=60.0, timeout_seconds=timeout_seconds)
        CheckCollector(runner, [subject], KNOWN, records=records).run(1.0)
    assert runner.asked == [["one"], ["one"], []]


def test_blocks_and_metrics_turn_into_each_other() -> None:
    """A gauge or counter of prometheus_client becomes the same block again."""
    (family,) = [each for each in KNOWN.families if each.name == "nyxmon_batch_joined_scrapes_total"]
    block = single(family, 5.0, [("resource", "x")])
    there_and_back = block_of(metric_of(block))
    assert reference(Blocks(metric_of, there_and_back), Format.TEXT) == reference(Blocks(metric_of, block), Format.TEXT)
