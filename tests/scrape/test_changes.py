"""The log tells when a check begins to fail and when it is ok again, once each time."""

from __future__ import annotations

import logging
from dataclasses import replace
from time import time
from typing import TYPE_CHECKING

from exporter.model import Check, Reason, Result, ResultStatus, SingleWindow
from exporter.scrape.records import StatusChanges

if TYPE_CHECKING:
    import pytest

SHOP = Check(name="shop", check_type="http", target="http://shop.test/")
WELL = Result(check_name="shop", status=ResultStatus.OK)
REFUSED = Result(
    check_name="shop", status=ResultStatus.ERROR, reason=Reason.CONNECT_REFUSED, detail="connection refused"
)
LATE = Result(check_name="shop", status=ResultStatus.ERROR, reason=Reason.TIMEOUT, detail="no answer within 5 s")
SLOW = Result(check_name="shop", status=ResultStatus.WARNING, reason=Reason.EXPECTATION, detail="expected duration")


def told(caplog: pytest.LogCaptureFixture, *results: Result, forget: bool = False) -> list[tuple[str, str]]:
    changes = StatusChanges()
    with caplog.at_level(logging.INFO):
        for result in results:
            changes.see(SHOP, result)
            if forget:
                changes.retain([])
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_check_that_is_well_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of what always succeeds."""
    assert told(caplog, WELL, WELL) == []


def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Failing, failing in another way, being degraded and being well again each make one line."""
    assert told(caplog, REFUSED, REFUSED, LATE, SLOW, SLOW, WELL, WELL, REFUSED) == [
        ("WARNING", "check shop is failing: connect_refused: connection refused"),
        ("WARNING", "check shop is failing: timeout: no answer within 5 s"),
        ("WARNING", "check shop is degraded: expectation: expected duration"),
        ("INFO", "check shop is ok again"),
        ("WARNING", "check shop is failing: connect_refused: connection refused"),
    ]


def test_a_check_that_was_removed_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """One that comes back with a later configuration is told anew."""
    assert (
        told(caplog, REFUSED, REFUSED, forget=True)
        == [("WARNING", "check shop is failing: connect_refused: connection refused")] * 2
    )


def test_a_failure_in_maintenance_is_information(caplog: pytest.LogCaptureFixture) -> None:
    """It is a warning once the window is over, and being well in maintenance is not worth a line."""
    window = SingleWindow(start_timestamp_seconds=0.0, end_timestamp_seconds=time() + 3600)
    changes = StatusChanges()
    with caplog.at_level(logging.INFO):
        for check, result in ((SHOP, WELL), (replace(SHOP, maintenance=(window,)), REFUSED), (SHOP, REFUSED)):
            changes.see(check, result)
            changes.see(check, result)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "check shop is failing in maintenance: connect_refused: connection refused"),
        ("WARNING", "check shop is failing: connect_refused: connection refused"),
    ]
