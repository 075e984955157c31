"""The state log: in which state a check is, since when, and how it got there."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import time
from typing import TYPE_CHECKING

from exporter.exposition.families import MetricFamilies
from exporter.exposition.page import Format, write_page
from exporter.model import Reason, Result, ResultStatus
from exporter.scrape.collector import CheckCollector
from exporter.scrape.records import Records
from exporter.scrape.states import EndedState, StateChange, StateLog
from tests.scraping import TYPES, Prepared, check, failed, measured, samples

if TYPE_CHECKING:
    from exporter.model import Check

KNOWN = MetricFamilies(TYPES)
OK, WARNING, ERROR = ResultStatus.OK, ResultStatus.WARNING, ResultStatus.ERROR
MINUTE = 60.0


def well(minute: float) -> Result:
    return measured(started_timestamp_seconds=minute * MINUTE)


def refused(minute: float, detail: str = "") -> Result:
    return failed(started_timestamp_seconds=minute * MINUTE, detail=detail)


def seen(log: StateLog, *results: Result, subject: Check | None = None) -> list[EndedState | None]:
    (states,) = log.of_checks([subject or check()])
    return [log.see(states, result, 0.0) for result in results]


def since_on(page_of: CheckCollector) -> dict[str, float]:
    """Run the checks; the name of each, and since when its page says that it is in its state."""
    page = write_page(page_of.blocks(page_of.run(1.0)), Format.TEXT).body.decode()
    found = samples(page, "probe_state_since_timestamp_seconds")
    return {series.split('"')[1]: float(value) for series, value in found.items()}


def test_a_state_lasts_until_a_run_has_another_verdict() -> None:
    """Runs in the same state do not shift its beginning, nor does a failure for another reason."""
    log = StateLog()
    late = failed(reason=Reason.TIMEOUT, started_timestamp_seconds=4 * MINUTE)
    ended = seen(log, well(1), well(2), refused(3, "connection refused"), late, well(5), well(6))
    assert ended == [None, None, EndedState(OK, 2 * MINUTE), None, EndedState(ERROR, 2 * MINUTE), None]
    assert log.changes("one") == (
        StateChange(5 * MINUTE, ERROR, OK, None, ""),
        StateChange(3 * MINUTE, OK, ERROR, Reason.CONNECT_REFUSED, "connection refused"),
        StateChange(1 * MINUTE, None, OK, None, ""),
    )
    assert log.latest("one") == log.changes("one")[0]


def test_a_check_that_never_ran_has_no_state() -> None:
    """Neither one that is configured nor one that is not."""
    log = StateLog()
    log.retain([check()])
    assert (log.latest("one"), log.changes("one")) == (None, ())
    assert (log.latest("other"), log.changes("other")) == (None, ())


def test_the_state_of_a_check_that_was_not_started_begins_with_its_batch() -> None:
    """A run that was never begun has no time of its own."""
    log = StateLog()
    (states,) = log.of_checks([check()])
    log.see(states, failed(reason=Reason.DEADLINE, attempts=0), 77.0)
    assert log.latest("one") == StateChange(77.0, None, ERROR, Reason.DEADLINE, "")


def test_a_clock_that_is_set_back_makes_no_negative_duration() -> None:
    """A negative duration becomes zero."""
    assert seen(StateLog(), well(2), refused(1)) == [None, EndedState(OK, 0.0)]


def test_the_last_hundred_changes_are_kept() -> None:
    """Older ones are forgotten, while the newest keeps its details."""
    log = StateLog()
    seen(log, *(refused(minute, f"failure {minute}") if minute % 2 else well(minute) for minute in range(1, 1002)))
    changes = log.changes("one")
    assert [change.timestamp_seconds / MINUTE for change in changes] == list(range(1001, 901, -1))
    assert [change.detail for change in changes[:3]] == ["failure 1001", "", "failure 999"]


def test_changes_are_counted_from_a_time_on() -> None:
    """The first run of a check is no change."""
    log = StateLog()
    seen(log, well(1), refused(2), well(3))
    assert [log.count_changes("one", minute * MINUTE) for minute in (0, 3, 4)] == [2, 1, 0]
    assert log.count_changes("other", 0.0) == 0


def test_details_are_cut() -> None:
    """A detail is as long as on a page, and what cannot be encoded is replaced."""
    log = StateLog()
    seen(log, refused(1, "ä" * 300 + "end"), well(2), refused(3, "\ud800"))
    assert [change.detail for change in log.changes("one")] == ["?", "", "ä" * 200]


def test_old_details_are_dropped_when_memory_is_short() -> None:
    """The changes remain, and the newest details that fit into the share of the check."""
    log = StateLog(changes_per_check=10, max_bytes=2 * 300)
    log.retain([check(), check("two")])
    seen(log, *(refused(n, f"failure {n}".ljust(50, ".")) if n % 2 else well(n) for n in range(1, 21)))
    details = [change.detail.rstrip(".") for change in log.changes("one")]
    assert details == ["", "failure 19", "", "failure 17", "", "failure 15", "", "", "", ""]


def test_states_outlive_a_reload() -> None:
    """A check whose name, type and target remain keeps its state; one that is moved or removed begins anew."""
    log = StateLog()
    for name in ("stays", "moves", "goes"):
        seen(log, well(1), subject=check(name))
    log.retain([check("stays", timeout_seconds=1.0), check("moves", target="elsewhere"), check("comes")])
    stays = StateChange(1 * MINUTE, None, OK, None, "")
    assert [log.latest(name) for name in ("stays", "moves", "goes", "comes")] == [stays, None, None, None]
    seen(log, well(2), subject=check("goes"))
    assert log.latest("goes") is None


def test_a_run_that_changes_nothing_allocates_nothing() -> None:
    """However many runs follow, no memory is taken."""
    log, result = StateLog(), well(1)
    (states,) = log.of_checks([check()])
    log.see(states, result, 0.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(1000):
            log.see(states, result, 0.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 200  # the iterator, and a frame


def test_many_checks_take_little_memory() -> None:
    """A check that is always ok takes a few hundred bytes, its keys included; one that always changes has its share."""
    checks = [check(str(number)) for number in range(100)]
    steady, flapping = (taken_by(checks, changes) for changes in (1, 150))
    assert steady < 600 * len(checks)
    assert flapping < steady + 2700 * len(checks)


def taken_by(checks: list[Check], changes: int) -> int:
    """The memory of a log in which each check has changed this often, with long details, in bytes."""
    results = [
        refused(minute, "no answer within 5 s " * 9) if minute % 2 else well(minute) for minute in range(changes)
    ]
    tracemalloc.start()
    try:
        log = StateLog(max_bytes=2500 * len(checks))
        log.retain(checks)
        for states in log.of_checks(checks):
            for result in results:
                log.see(states, result, 0.0)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_the_page_says_since_when() -> None:
    """The gauge stays until the verdict changes, and overlapping pages of the check agree."""
    records, runner = Records(), Prepared(well(1))
    whole = CheckCollector(runner, [check()], KNOWN, records=records)
    single = CheckCollector(runner, [check()], KNOWN, records=records)
    found = [since_on(whole)]
    for result in (well(2), refused(3), refused(4)):
        runner.results["one"] = result
        found += [since_on(whole), since_on(single)]
    assert found == [{"one": 60.0}] * 3 + [{"one": 180.0}] * 4


def test_a_result_that_is_given_again_does_not_shift_the_state() -> None:
    """Within the minimum interval there is no run, so there is no change either."""
    rare, runner = check(min_interval_seconds=60.0), Prepared(well(1))
    collector = CheckCollector(runner, [rare], KNOWN)
    first = since_on(collector)
    runner.results["one"] = refused(2)
    assert (first, since_on(collector)) == ({"one": 60.0}, {"one": 60.0})


def test_a_check_without_result_has_no_such_series() -> None:
    """A result that a custom runner loses does not change the state."""
    collector = CheckCollector(Prepared(measured("a", started_timestamp_seconds=1.0)), [check("a"), check("b")], KNOWN)
    assert since_on(collector) == {"a": 1.0}


def test_a_run_without_a_time_of_its_own_begins_now() -> None:
    """The time at which the batch began is a Unix time."""
    before = round(time(), 3)
    found = since_on(CheckCollector(Prepared(measured()), [check()], KNOWN))
    assert before <= found["one"] <= time() + 0.001


def test_scrapes_reloads_and_readers_at_once() -> None:
    """Every state that a reader sees is one that was entered, and no change of a check that stays is lost."""
    records, stays = Records(), check("stays")
    stages = [[stays, check("moves")], [check("moves", target="elsewhere"), stays], [stays]]
    records.retain(stages[0])
    rounds, threads = 300, 4
    begin = threading.Barrier(threads + 2)
    done = threading.Event()

    def scrape(worker: int) -> None:
        begin.wait()
        for number in range(rounds):
            result = (measured, failed)[number % 2]("stays", started_timestamp_seconds=worker + number / 1000)
            CheckCollector(Prepared(result), [stays], KNOWN, records=records).run(1.0)

    def read() -> int:
        begin.wait()
        reads = 0
        while not done.is_set():
            changes = records.states.changes("stays")
            assert all(newer.previous is older.status for newer, older in pairwise(changes))
            assert len(changes) <= 100
            reads += 1
        return reads

    with ThreadPoolExecutor(threads + 1) as executor:
        scrapes = [executor.submit(scrape, worker) for worker in range(threads)]
        reader = executor.submit(read)
        begin.wait()
        for number in range(rounds):
            records.retain(stages[number % len(stages)])
        for future in scrapes:
            future.result(60.0)
        done.set()
        assert reader.result(60.0) > 0
    (counters,) = records.counters.of_checks([stays])
    assert counters.runs == threads * rounds
    assert len(records.states.changes("stays")) == 100
