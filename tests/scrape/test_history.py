"""The memory of recent runs: bounded in number and in bytes, shared by threads."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from threading import Thread
from typing import Any, cast

import pytest

from exporter.model import LogLine, Measurement, MetricSpec, Reason, ResultStatus
from exporter.scrape.history import History
from exporter.scrape.runs import Run
from tests.scraping import STATUS_OK, check, failed, measured, outcome_of

SPEC = MetricSpec(name="probe_size", help="A size.", labels=("of",))


def line(message: str = "connected", **fields: Any) -> LogLine:
    return LogLine(0.25, message, fields)


def test_a_run_is_remembered_whole() -> None:
    """The newest run has everything the result told, with the time at which it came in."""
    history = History()
    outcome = outcome_of(STATUS_OK, ok=False, value=500.0)
    result = failed(
        detail="refused", attempts=2, started_timestamp_seconds=3.0, expectations=(outcome,), log=(line(port=1),)
    )
    before = time.time()
    history.record(check(), result)
    run = history.latest("one")
    assert run is not None
    assert before <= run.recorded_timestamp_seconds <= time.time()
    assert run._replace(recorded_timestamp_seconds=0.0) == Run(
        result.status, Reason.CONNECT_REFUSED, "refused", 0.0, 3.0, 0.5, 2, 5.0, (outcome,), (), (line(port=1),)
    )


def test_what_was_measured_and_logged_is_remembered_exactly() -> None:
    """Packing changes no value, not even one that a check type of a plugin has left in place of a number or a text."""
    numbers = (0.1, -0.0, 10**30, True)
    plain = measured(
        measurements=tuple(Measurement(SPEC, number, (str(number),)) for number in numbers),
        log=(line(text="\ud800 ä", number=10**30, ok=False, none=None), line("ended")),
        detail="\udcff not UTF-8",
    )
    odd = replace(plain, measurements=(Measurement(SPEC, cast("float", Fraction(1, 3)), ("third",)),))
    history = History()
    for result in (plain, odd):
        history.record(check(), result)
    kept = [(run.detail, run.log, repr(run.measurements)) for run in history.runs("one").recent]
    assert kept == [(result.detail, result.log, repr(result.measurements)) for result in (plain, odd)]


def test_a_run_that_failed_is_kept_whole_among_those_that_did() -> None:
    """What was logged is still there when the run is older than those that are kept in any case."""
    history = History(runs_per_check=1)
    history.record(check(), failed(log=(line(port=1),)))
    history.record(check(), measured())
    runs = history.runs("one")
    assert [[run.log for run in part] for part in runs] == [[()], [(line(port=1),)]]


def test_a_check_that_never_ran_has_no_runs() -> None:
    """An unknown name is no error."""
    assert (History().latest("one"), History().runs("one")) == (None, ((), ()))


def test_runs_are_kept_oldest_first_up_to_a_number() -> None:
    """The oldest run gives way."""
    history = History(runs_per_check=3)
    for number in range(5):
        history.record(check(), measured(duration_seconds=float(number)))
    assert [run.duration_seconds for run in history.runs("one").recent] == [2.0, 3.0, 4.0]


def test_a_history_of_nothing_is_rejected() -> None:
    """A size that would remember nothing is a mistake, and says so."""
    with pytest.raises(ValueError, match="runs_per_check is 0; it must be 1 or more"):
        History(runs_per_check=0)


def test_older_runs_become_points_when_memory_is_short() -> None:
    """The newest run keeps its log, older ones everything that is not long, and the oldest are forgotten."""
    history = History(runs_per_check=10, max_bytes=2600)
    for number in range(8):
        log = (line(),) * 3
        history.record(check(), failed(duration_seconds=float(number), detail="ä" * 300, attempts=number, log=log))
    *older, newest = history.runs("one").recent
    assert [run.duration_seconds for run in older] == [5.0, 6.0]
    assert (len(newest.log), len(newest.detail)) == (3, 300)
    (run, _) = (each._replace(recorded_timestamp_seconds=0.0) for each in older)
    assert run == Run(ResultStatus.ERROR, Reason.CONNECT_REFUSED, "ä" * 200, 0.0, 0.0, 5.0, 5, 5.0)
    assert newest.recorded_timestamp_seconds >= older[1].recorded_timestamp_seconds > time.time() - 60


def test_points_give_way_to_newer_ones() -> None:
    """Points and whole runs together are no more than the runs that are kept."""
    history = History(runs_per_check=4, max_bytes=2000)
    for number in range(8):
        history.record(check(), measured(duration_seconds=float(number), log=(line(),) * 3))
    runs = history.runs("one").recent
    assert [run.duration_seconds for run in runs] == [4.0, 5.0, 6.0, 7.0]
    assert [len(run.log) for run in runs] == [0, 0, 0, 3]


def test_the_newest_run_takes_three_quarters_of_the_share_at_most() -> None:
    """A log that is too long loses its end, and the measurements before that."""
    history = History(max_bytes=8000)
    history.record(check(), measured(log=tuple(line(f"step {number}") for number in range(200))))
    run = history.latest("one")
    assert run is not None
    assert run.measurements == ()
    assert [each.message for each in run.log] == [f"step {number}" for number in range(len(run.log))]
    assert 15 <= len(run.log) <= 18


def test_memory_is_divided_among_the_checks() -> None:
    """With many checks each remembers less, and the whole stays within its bound."""
    history = History(max_bytes=100_000)
    for _ in range(15):
        for number in range(100):
            history.record(check(f"check {number}"), measured(f"check {number}", log=(line("x" * 900),) * 20))
    lines = [len(run.log) for number in range(100) for run in history.runs(f"check {number}").recent]
    assert sum(lines) == 0
    assert len(lines) == 1500


def test_large_values_in_the_log_are_not_kept_alive() -> None:
    """Texts are cut and objects are kept as text, so that no body or document outlives its run."""
    history = History()
    log = (line("m" * 5000, body="b" * 5000, document={"k": "v" * 5000}, raw=b"x" * 5000, port=1, ok=True, none=None),)
    history.record(check(), measured(log=log, detail="d" * 5000))
    run = history.latest("one")
    assert run is not None
    (kept,) = run.log
    assert (len(run.detail), len(kept.message)) == (1000, 1000)
    assert {name: len(value) if isinstance(value, str) else value for name, value in kept.fields.items()} == {
        "body": 1000, "document": 1000, "raw": 1000, "port": 1, "ok": True, "none": None,
    }  # fmt: skip


def test_removed_checks_are_forgotten() -> None:
    """What a new configuration does not have leaves no runs behind."""
    history = History()
    for name in ("one", "two", "three"):
        history.record(check(name), measured(name))
    history.retain([check("two")])
    assert [len(history.runs(name).recent) for name in ("one", "two", "three")] == [0, 1, 0]


@pytest.mark.parametrize("change", [{"target": "elsewhere"}, {"check_type": "other"}])
def test_a_name_that_means_something_else_starts_anew(change: dict[str, str]) -> None:
    """Runs of another target or type are not shown as this check's."""
    history = History()
    history.record(check(), measured(duration_seconds=1.0))
    history.record(check(**change), measured(duration_seconds=2.0))
    assert [run.duration_seconds for run in history.runs("one").recent] == [2.0]


def test_threads_may_record_and_read_at_once() -> None:
    """Overlapping scrapes and pages neither fail nor lose the bound."""
    history = History(runs_per_check=5, max_bytes=20_000)
    seen: list[int] = []

    def work(name: str) -> None:
        for _ in range(300):
            history.record(check(name), measured(name, log=(line(),)))
            seen.append(len(history.runs("0").recent))

    threads = [Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1200
    assert max(seen) <= 5


def test_failed_runs_are_kept_longer() -> None:
    """A run that failed is kept after as many others as a check keeps, until as many failed ones follow it."""
    history = History(runs_per_check=3)
    for result in (failed(detail="first"), *[measured()] * 10):
        history.record(check(), result)
    kept = [[(run.status, run.detail) for run in part] for part in history.runs(check().name)]
    for _ in range(10):
        history.record(check(), failed(detail="later"))
    assert kept == [[(ResultStatus.OK, "")] * 3, [(ResultStatus.ERROR, "first")]]
    assert [[run.detail for run in part] for part in history.runs(check().name)] == [["later"] * 3] * 2


def test_failed_runs_are_kept_longer_than_the_logs_of_good_ones() -> None:
    """When memory is short, older good runs become points before a failed run is forgotten."""
    history = History(runs_per_check=5, max_bytes=6000)
    history.record(check(), failed(detail="first", log=(line(),) * 3))
    for _ in range(12):
        history.record(check(), measured(log=(line(),) * 3, measurements=()))
    assert [[run.detail for run in part] for part in history.runs("one")] == [[""] * 5, ["first"]]
