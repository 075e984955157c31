"""The log has a line when a check starts to fail and one when it recovers, with the time in between."""

from __future__ import annotations

import logging
from dataclasses import replace
from time import time
from typing import TYPE_CHECKING

from exporter.model import Check, Reason, Result, ResultStatus, SingleWindow
from exporter.scrape.records import Records
from exporter.scrape.status_changes import StatusChanges

if TYPE_CHECKING:
    import pytest

SHOP = Check(name="shop", check_type="http", target="http://shop.test/")
WELL = Result(check_name="shop", status=ResultStatus.OK)
REFUSED = Result(
    check_name="shop", status=ResultStatus.ERROR, reason=Reason.CONNECT_REFUSED, detail="connection refused"
)
LATE = Result(check_name="shop", status=ResultStatus.ERROR, reason=Reason.TIMEOUT, detail="no answer within 5 s")
SLOW = Result(check_name="shop", status=ResultStatus.WARNING, reason=Reason.EXPECTATION, detail="expected duration")


def record(records: Records, check: Check, result: Result) -> None:
    (counters,), (states,) = records.counters.of_checks([check]), records.states.of_checks([check])
    records.record([(check, counters, states, result)], None, started=0.0)


def told(caplog: pytest.LogCaptureFixture, *results: Result, forget: bool = False) -> list[tuple[str, str]]:
    """The log lines for these results, of runs that begin a minute apart."""
    records = Records(changes=StatusChanges())
    with caplog.at_level(logging.INFO):
        for minute, result in enumerate(results):
            record(records, SHOP, replace(result, started_timestamp_seconds=1.7e9 + 60 * minute))
            if forget:
                records.retain([])
                records.retain([SHOP])
    return [(entry.levelname, entry.getMessage()) for entry in caplog.records]


def test_a_healthy_check_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A check that always succeeds is not logged."""
    assert told(caplog, WELL, WELL) == []


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Failing, failing in another way, becoming degraded and recovering cause a line each."""
    assert told(caplog, REFUSED, REFUSED, LATE, SLOW, SLOW, WELL, WELL, WELL, REFUSED, WELL) == [
        ("WARNING", "check shop is failing: connect_refused: connection refused"),
        ("WARNING", "check shop is failing: timeout: no answer within 5 s"),
        ("WARNING", "check shop is degraded after failing for 3 min: expectation: expected duration"),
        ("INFO", "check shop is ok again after being degraded for 2 min"),
        ("WARNING", "check shop is failing after being ok for 3 min: connect_refused: connection refused"),
        ("INFO", "check shop is ok again after failing for 60 s"),
    ]


def test_a_check_that_was_removed_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """A check that returns in a later configuration is logged anew."""
    assert (
        told(caplog, REFUSED, REFUSED, forget=True)
        == [("WARNING", "check shop is failing: connect_refused: connection refused")] * 2
    )


def test_a_failure_in_maintenance_is_information(caplog: pytest.LogCaptureFixture) -> None:
    """It becomes a warning once the window is over, and a recovery in maintenance is not logged."""
    window = SingleWindow(start_timestamp_seconds=0.0, end_timestamp_seconds=time() + 3600)
    records = Records(changes=StatusChanges())
    with caplog.at_level(logging.INFO):
        for check, result, began in (
            (SHOP, WELL, 1.7e9),
            (replace(SHOP, maintenance=(window,)), REFUSED, 1.7e9 + 7200),
            (SHOP, REFUSED, 1.7e9 + 9000),
        ):
            record(records, check, replace(result, started_timestamp_seconds=began))
            record(records, check, replace(result, started_timestamp_seconds=began))
    assert [(entry.levelname, entry.getMessage()) for entry in caplog.records] == [
        ("INFO", "check shop is failing in maintenance after being ok for 2 h: connect_refused: connection refused"),
        ("WARNING", "check shop is failing: connect_refused: connection refused"),
    ]
