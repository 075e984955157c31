"""What is counted over the life of the process."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

from exporter.exposition.counters import Counters, RecentPeak
from exporter.model import Batch, Measurement, MetricSpec, Reason, ResultStatus
from tests.scraping import PHASES, STATUS_OK, check, failed, measured


def test_failures_are_counted_by_reason() -> None:
    """Errors are counted with their reason, and warnings are not; likely reasons exist from the start."""
    totals = Counters()
    (one,) = totals.of_checks([check(expectations=(STATUS_OK,))])
    fine = measured(measurements=())
    results = [failed(), failed(reason=Reason.TIMEOUT), failed(), fine, replace(fine, status=ResultStatus.WARNING)]
    totals.count([(one, result) for result in results], None)
    assert one.runs == 5
    assert one.failures == {Reason.TIMEOUT: 1, Reason.STATUS: 0, Reason.CONNECT_REFUSED: 2}


def test_the_first_success_shows_which_reasons_to_count() -> None:
    """The reasons of measured phases get a series with 0, so that `increase()` notices the first failure."""
    totals = Counters()
    (one,) = totals.of_checks([check()])
    times = {"resolve": 0.0, "connect": 0.1, "tls": 0.2, "processing": 0.3}
    success = measured(measurements=tuple(Measurement(PHASES, value, (phase,)) for phase, value in times.items()))
    totals.count([(one, failed(reason=Reason.TLS))], None)
    assert one.failures == {Reason.TIMEOUT: 0, Reason.TLS: 1}
    totals.count([(one, success), (one, failed(reason=Reason.PROTOCOL))], None)
    connecting = (Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT, Reason.CONNECTION_RESET, Reason.UNREACHABLE)
    expected = dict.fromkeys((Reason.TIMEOUT, *connecting, Reason.CERTIFICATE), 0)
    assert one.failures == expected | {Reason.TLS: 1, Reason.PROTOCOL: 1}


def test_runs_that_did_not_start_have_no_duration() -> None:
    """A check without an attempt is a run with a reason, but not a run of 0 s."""
    totals = Counters()
    (one,) = totals.of_checks([check()])
    totals.count([(one, failed(reason=Reason.DEADLINE, attempts=0, duration_seconds=0.0)), (one, measured())], None)
    assert (one.runs, one.duration.cumulated()[-1], one.duration.sum) == (2, 1, 0.375)


def test_phases_are_counted_for_checks_that_ask() -> None:
    """The phases are those of the measured durations; unmeasured phases and invalid values are not counted."""
    totals = Counters()
    asking, other = totals.of_checks([check("asking", phase_histograms=True), check("other")])
    rubbish = (Measurement(PHASES, "x", ("connect",)), Measurement(PHASES, 1.0, ()))  # type: ignore[arg-type] # rubbish is the point
    size = MetricSpec(name="probe_size_bytes", help="", labels=("phase",))
    results = (
        measured(measurements=(Measurement(PHASES, 0.2, ("connect",)), *rubbish, Measurement(size, 5.0, ("body",)))),
        measured(),
    )
    totals.count([(each, result) for each in (asking, other) for result in results], None)
    assert {phase: histogram.sum for phase, histogram in asking.phases.items()} == {"connect": 0.45, "answer": 0.125}
    assert other.phases == {}


def test_invented_phases_do_not_fill_the_memory() -> None:
    """A plugin that names a new phase in every run gets a bounded number of histograms."""
    totals = Counters()
    (one,) = totals.of_checks([check(phase_histograms=True)])
    invented = tuple(Measurement(PHASES, 1.0, (f"phase {number}",)) for number in range(1000))
    totals.count([(one, measured(measurements=invented))], None)
    assert len(one.phases) == 20


def test_a_reload_keeps_what_stays_and_drops_what_goes() -> None:
    """Totals belong to a name, type and target; other settings may change, and take effect."""
    totals = Counters()
    stays, moves = totals.of_checks([check("stays"), check("moves")])
    totals.count([(stays, measured()), (moves, measured())], None)
    reloaded = [check("stays", phase_histograms=True), check("moves", target="elsewhere"), check("new")]
    totals.retain(reloaded)
    assert [each.runs for each in totals.of_checks(reloaded)] == [1, 0, 0]
    totals.count([(stays, measured())], None)
    assert set(stays.phases) == {"connect", "answer"}
    assert totals.of_checks([check("moves")])[0].runs == 0


def test_batches_are_summed_up() -> None:
    """Counters and histograms about batches accumulate, with separate resources."""
    totals = Counters()
    batch = Batch(
        checks=2,
        duration_seconds=0.5,
        budget_seconds=None,
        http_client_created=True,
        http_requests=3,
        http_connections_opened=2,
        http_connections_reused=1,
        executors_instantiated={"http": 1},
        cleanup_seconds={"http": 0.01, "http_client": 0.02},
        cleanup_errors={"http": 1},
        start_wait_seconds=(0.0, 0.1),
    )
    totals.count([], batch)
    totals.count([], batch)
    totals.count_joined_scrape()
    counted = totals.batches
    assert list(counted.counters.values()) == [2, 6, 4, 2, 1]
    assert (counted.executors, counted.cleanup_errors) == ({"http": 2}, {"http": 2, "http_client": 0})
    assert (counted.duration.sum, counted.start_wait.cumulated()[-1], counted.cleanup["http"].sum) == (1.0, 4, 0.02)


def test_the_peak_of_the_last_minute() -> None:
    """The highest value counts for a minute, or for up to five seconds less; without values, it is 0."""
    peak = RecentPeak()
    assert peak.at(1000.0) == 0.0
    for value, now in ((0.2, 1000.0), (0.5, 1002.0), (0.1, 1030.0)):
        peak.see(value, now)
    assert [peak.at(now) for now in (1030.0, 1054.0, 1062.0, 1084.0, 1100.0)] == [0.5, 0.5, 0.1, 0.1, 0.0]


def test_without_a_batch_the_latest_ones_are_reported() -> None:
    """A scrape that runs nothing reports the recent lag of the loop, and which checks are stuck."""
    totals = Counters()
    totals.count([], Batch(checks=1, duration_seconds=1.0, budget_seconds=None, loop_lag_seconds=0.25))
    totals.count([], Batch(checks=1, duration_seconds=1.0, budget_seconds=None, stuck_checks=("a",)))
    assert totals.batches.standing() == Batch(
        checks=0, duration_seconds=0.0, budget_seconds=None, stuck_checks=("a",), loop_lag_seconds=0.25
    )


def test_threads_do_not_lose_counts() -> None:
    """Every result of overlapping scrapes is counted."""
    totals = Counters()
    (one,) = totals.of_checks([check()])

    def work() -> None:
        for _ in range(500):
            totals.count([(one, failed())], None)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (one.runs, one.failures[Reason.CONNECT_REFUSED], one.duration.cumulated()[-1]) == (2000, 2000, 2000)
