"""Keeps the recent runs of each check in a bounded ring, for the HTML pages.

The newest runs keep their log, measurements and judged expectations; older ones are reduced to a point (verdict,
reason, duration), so that every check has a row of points however many checks share the memory.
"""

from __future__ import annotations

import time
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import Reason, ResultStatus
from exporter.scrape.bounded_logs import bounded_log, bytes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.model import CertificateFacts, Check, ExpectationOutcome, LogLine, Measurement, Result

_MAX_DETAIL_CHARACTERS = 1000
_POINT_DETAIL_CHARACTERS = 200
_NEWEST_SHARE = 0.75
_RUN_BYTES = 400
_MEASUREMENT_BYTES = 100
_EXPECTATION_BYTES = 200
_CERTIFICATE_BYTES = 50  # the facts themselves are shared by all runs that saw the certificate

_POINT = Struct("<4dI2BH")
"""Times, attempts, verdict, reason and the length of the detail, which follows."""

_STATUSES = tuple(ResultStatus)
_REASONS = (None, *Reason)
_STATUS_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}
_REASON_NUMBERS = {reason: number for number, reason in enumerate(_REASONS)}


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


class History:
    """Recent runs per check; lives for the process, shared by threads.

    The memory is divided evenly among the checks. The newest run of a check may take three quarters of its share: if it
    does not fit, its measurements and then the end of its log are dropped. Runs that failed are kept longer: as many of
    them as of all runs. When a check exceeds its share, its older runs become points. If that is not enough, the oldest
    of those failed runs are forgotten, and then the oldest points.
    """

    def __init__(self, runs_per_check: int = 30, max_bytes: int = 48 * 1024 * 1024) -> None:
        """Create an empty history.

        Args:
            runs_per_check: Most runs kept for one check; as many failed ones from before them are kept as well.
            max_bytes: Estimated memory for all checks together; the default lets ten thousand HTTP checks keep their
                newest run in full and thirty points.
        """
        if runs_per_check < 1:
            raise ValueError(f"runs_per_check is {runs_per_check}; it must be 1 or more")
        self._runs_per_check = runs_per_check
        self._max_bytes = max_bytes
        self._rings: dict[str, _Ring] = {}
        self._lock = Lock()

    def record(self, check: Check, result: Result) -> None:
        """Record a result, replacing the oldest run of the check when it has too many.

        A check whose type or target has changed starts with an empty history.
        """
        run, size = _remembered(result)
        with self._lock:
            ring = self._rings.get(check.name)
            if ring is None or ring.identity != check.identity:
                ring = self._rings[check.name] = _Ring(check)
            share = self._max_bytes // len(self._rings)
            ring.append(run, size, max_runs=self._runs_per_check, max_bytes=share)

    def latest(self, name: str) -> Run | None:
        """Return the newest run of a check; None if it has not run yet."""
        with self._lock:
            ring = self._rings.get(name)
            return ring.runs[-1] if ring else None

    def runs(self, name: str) -> tuple[Run, ...]:
        """Return the recorded runs of a check, oldest first; before the last ones come older ones that failed."""
        with self._lock:
            ring = self._rings.get(name)
            return (*ring.failed, *ring.points_as_runs(), *ring.runs) if ring else ()

    def retain(self, checks: Iterable[Check]) -> None:
        """Forget all checks except these, such as those that a new configuration removed or gave another target."""
        kept = {check.identity for check in checks}
        with self._lock:
            self._rings = {name: ring for name, ring in self._rings.items() if ring.identity in kept}


class _Ring:
    """The runs of one check, guarded by the lock of the history.

    Points are stored as consecutive bytes: as objects, thirty of them would take more memory than a full run.

    Attributes:
        identity: Name, type and target of the check.
        failed: Runs that failed and are older than all others.
        failed_sizes: The memory that each of them takes, in bytes.
        runs: The newest runs, in full; never empty after the first.
        sizes: The memory that each of them takes, in bytes.
        points: The runs before them.
        point_count: The number of points.
        bytes: The memory that all of them take.
    """

    __slots__ = ("bytes", "failed", "failed_sizes", "identity", "point_count", "points", "runs", "sizes")

    def __init__(self, check: Check) -> None:
        self.identity = check.identity
        self.failed: list[Run] = []
        self.failed_sizes: list[int] = []
        self.runs: list[Run] = []
        self.sizes: list[int] = []
        self.points = bytearray()
        self.point_count = 0
        self.bytes = 0

    def append(self, run: Run, size: int, *, max_runs: int, max_bytes: int) -> None:
        most = int(max_bytes * _NEWEST_SHARE)
        if size > most:
            run, size = _cut(run, size, most)
        self.runs.append(run)
        self.sizes.append(size)
        self.bytes += size
        while self.point_count and self.point_count + len(self.runs) > max_runs:
            self._retire(next(self.points_as_runs()), _RUN_BYTES)
            self._forget_oldest_point()
        while len(self.runs) > max_runs:
            size = self.sizes.pop(0)
            self.bytes -= size
            self._retire(self.runs.pop(0), size)
        while self.bytes > max_bytes and len(self.runs) > 1:
            self._make_point()
        while self.failed and (self.bytes > max_bytes or len(self.failed) > max_runs):
            del self.failed[0]
            self.bytes -= self.failed_sizes.pop(0)
        while self.point_count and self.bytes > max_bytes:
            self._forget_oldest_point()

    def _retire(self, run: Run, size: int) -> None:
        """Keep a run that is no longer among the last ones if it failed."""
        if run.status is ResultStatus.ERROR:
            self.failed.append(run)
            self.failed_sizes.append(size)
            self.bytes += size

    def points_as_runs(self) -> Iterator[Run]:
        """Yield the points as runs, oldest first."""
        place = 0
        while place < len(self.points):
            recorded, started, duration, timeout, attempts, status, reason, length = _POINT.unpack_from(
                self.points, place
            )
            place += _POINT.size + length
            detail = self.points[place - length : place].decode()
            yield Run(_STATUSES[status], _REASONS[reason], detail, recorded, started, duration, attempts, timeout)

    def _make_point(self) -> None:
        """Reduce the oldest full run to a point."""
        run, size = self.runs.pop(0), self.sizes.pop(0)
        detail = run.detail[:_POINT_DETAIL_CHARACTERS].encode("utf-8", "replace")
        self.points += _POINT.pack(
            run.recorded_timestamp_seconds,
            run.started_timestamp_seconds,
            run.duration_seconds,
            run.timeout_seconds,
            min(run.attempts, 0xFFFFFFFF),
            _STATUS_NUMBERS[run.status],
            _REASON_NUMBERS[run.reason],
            len(detail),
        )
        self.points += detail
        self.point_count += 1
        self.bytes += _POINT.size + len(detail) - size

    def _forget_oldest_point(self) -> None:
        *_, length = _POINT.unpack_from(self.points)
        del self.points[: _POINT.size + length]
        self.point_count -= 1
        self.bytes -= _POINT.size + length


def _remembered(result: Result) -> tuple[Run, int]:
    """Return a result as a run with bounded texts, and the estimated memory it takes."""
    log = result.log
    log_bytes = bytes_of(log)
    if log_bytes is None:
        log = bounded_log(log)
        log_bytes = bytes_of(log) or 0
    detail = result.detail[:_MAX_DETAIL_CHARACTERS]
    size = _RUN_BYTES + len(detail) + log_bytes
    size += _MEASUREMENT_BYTES * len(result.measurements) + _EXPECTATION_BYTES * len(result.expectations)
    size += _CERTIFICATE_BYTES * len(result.certificates)
    run = Run(
        result.status,
        result.reason,
        detail,
        time.time(),
        result.started_timestamp_seconds,
        result.duration_seconds,
        result.attempts,
        result.timeout_seconds,
        result.expectations,
        result.measurements,
        log,
        result.certificates,
    )
    return run, size


def _cut(run: Run, size: int, max_bytes: int) -> tuple[Run, int]:
    """Drop the measurements, then as many of the last log lines as do not fit."""
    log = run.log
    rest = size - _MEASUREMENT_BYTES * len(run.measurements)
    log_bytes = bytes_of(log) or 0
    rest -= log_bytes
    room = max(0, max_bytes - rest)
    while log_bytes > room:
        log = log[: min(len(log) - 1, len(log) * room // log_bytes)]
        log_bytes = bytes_of(log) or 0
    return run._replace(measurements=(), log=log), rest + log_bytes
