"""Finished checks for the tests of reports: real runs where they matter, and made-up results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.config import Place
from exporter.model import Check, LogLine, Measurement, Reason, Result, ResultStatus, Severity
from exporter.reports.finished import FinishedCheck, Round

if TYPE_CHECKING:
    from collections.abc import Mapping


def finished(
    name: str,
    status: ResultStatus = ResultStatus.OK,
    reason: Reason | None = None,
    detail: str = "",
    *,
    target: str = "shop.example:443",
    labels: Mapping[str, str] | None = None,
    seconds: float = 0.25,
    in_maintenance: bool = False,
    place: Place | None = None,
    log: tuple[LogLine, ...] = (),
    measurements: tuple[Measurement, ...] = (),
) -> FinishedCheck:
    """A check of type tcp that has run once."""
    result = Result(
        check_name=name,
        status=status,
        reason=reason,
        detail=detail,
        duration_seconds=seconds,
        attempts=1,
        started_timestamp_seconds=1_800_000_000.5,
        log=log,
        measurements=measurements,
    )
    check = Check(name=name, check_type="tcp", target=target, labels=labels or {})
    return FinishedCheck(check=check, result=result, in_maintenance=in_maintenance, place=place)


FINE = finished("fine")
SLOW = finished("slow", ResultStatus.WARNING, Reason.EXPECTATION, "duration lt 0.1: 0.25", place=Place("c.yml", 3, 5))
DOWN = finished("down", ResultStatus.ERROR, Reason.TIMEOUT, "not done within 1 s", place=Place("c.yml", 9, 3))
MOVING = finished("moving", ResultStatus.ERROR, Reason.CONNECT_REFUSED, "refused", in_maintenance=True)
BROKEN = finished("broken", ResultStatus.ERROR, Reason.INTERNAL, "RuntimeError: bug", place=Place("c.yml", 12, 3))


def round_of(*checks: FinishedCheck, fail_on: Severity = Severity.ERROR) -> Round:
    """A round of these checks."""
    return Round(checks=checks, duration_seconds=0.5, fail_on=fail_on)
