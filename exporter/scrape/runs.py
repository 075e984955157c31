"""Recorded runs of checks, and the points that older ones are reduced to."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import Reason, ResultStatus

if TYPE_CHECKING:
    from exporter.model import CertificateFacts, ExpectationOutcome, LogLine, Measurement

_DETAIL_CHARACTERS = 200

_POINT = Struct("<4dI2BH")
"""Times, attempts, verdict, reason and the length of the detail, which follows."""

_VERDICT_PLACE = 36
_LENGTH_PLACE = 38

_STATUSES = tuple(ResultStatus)
_ERROR_NUMBER = _STATUSES.index(ResultStatus.ERROR)

REASONS = (None, *Reason)
"""The reasons by number. `index` finds the number faster than a mapping, because the usual one comes first."""


class Run(NamedTuple):
    """One recorded run of a check; immutable.

    Attributes:
        status: The verdict.
        reason: Why it was not ok; None when it was.
        detail: One sentence about the failure, cut to a bounded length.
        recorded_timestamp_seconds: Unix time when the result was recorded.
        started_timestamp_seconds: Unix time when the first attempt began; 0 when none did.
        duration_seconds: Wall time of all attempts.
        attempts: Attempts made; 0 when the check was not started.
        timeout_seconds: The time limit of the last attempt.
        expectations: The outcome of each expectation; empty once the run is only a point.
        measurements: What was measured; empty once the run is only a point.
        log: What happened, in order; empty once the run is only a point.
        certificates: What the server presented, its own certificate first; empty once the run is only a point.
    """

    status: ResultStatus
    reason: Reason | None
    detail: str
    recorded_timestamp_seconds: float
    started_timestamp_seconds: float
    duration_seconds: float
    attempts: int
    timeout_seconds: float
    expectations: tuple[ExpectationOutcome, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    log: tuple[LogLine, ...] = ()
    certificates: tuple[CertificateFacts, ...] = ()


class RecordedRuns(NamedTuple):
    """The recorded runs of one check; immutable.

    Attributes:
        recent: The last runs, oldest first, without a gap.
        earlier_failures: Failed runs from before them, oldest first.
    """

    recent: tuple[Run, ...] = ()
    earlier_failures: tuple[Run, ...] = ()


def point_of(run: Run) -> bytes:
    """Return a run reduced to verdict, reason and times, with the beginning of its detail."""
    detail = run.detail[:_DETAIL_CHARACTERS].encode("utf-8", "replace")
    head = _POINT.pack(
        run.recorded_timestamp_seconds,
        run.started_timestamp_seconds,
        run.duration_seconds,
        run.timeout_seconds,
        min(run.attempts, 0xFFFFFFFF),
        _STATUSES.index(run.status),
        REASONS.index(run.reason),
        len(detail),
    )
    return head + detail


def point_bytes(data: bytes | bytearray, place: int = 0) -> int:
    """Return the length of the point that begins at a place."""
    place += _LENGTH_PLACE
    return _POINT.size + (data[place] | data[place + 1] << 8)


def has_failed(data: bytes | bytearray) -> bool:
    """Return whether the verdict of the point at the beginning is an error; costs less than reading all of it."""
    return data[_VERDICT_PLACE] == _ERROR_NUMBER


def run_of_point(data: bytes | bytearray, place: int = 0) -> Run:
    """Return the run of a point, without the details that points do not have."""
    recorded, started, duration, timeout, attempts, status, reason, length = _POINT.unpack_from(data, place)
    place += _POINT.size
    detail = data[place : place + length].decode()
    return Run(_STATUSES[status], REASONS[reason], detail, recorded, started, duration, attempts, timeout)
