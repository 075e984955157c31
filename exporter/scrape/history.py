"""Keeps the recent runs of each check in a bounded ring, for the HTML pages.

The newest runs keep their log, measurements and judged expectations; older ones are reduced to a point (verdict,
reason, duration), so that every check has a row of points however many checks share the memory.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from exporter.scrape.bounded_logs import bounded_log, bytes_of
from exporter.scrape.kept_runs import KeptRun, Packing
from exporter.scrape.runs import RecordedRuns, Run, has_failed, point_bytes, run_of_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.model import Check, Result

_MAX_DETAIL_CHARACTERS = 1000
_NEWEST_SHARE = 0.75
_RUN_BYTES = 400
_MEASUREMENT_BYTES = 100
_EXPECTATION_BYTES = 200
_CERTIFICATE_BYTES = 50  # the facts themselves are shared by all runs that saw the certificate


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
        self._packing = Packing()
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
            most = int(share * _NEWEST_SHARE)
            if size > most:
                run, size = _cut(run, size, most)
            kept = self._packing.pack(run, size, check.expectations, ring.runs[-1].shape if ring.runs else None)
            ring.append(kept, max_runs=self._runs_per_check, max_bytes=share)

    def latest(self, name: str) -> Run | None:
        """Return the newest run of a check; None if it has not run yet."""
        with self._lock:
            ring = self._rings.get(name)
            newest = ring.runs[-1] if ring else None
        return None if newest is None else newest.unpacked()

    def runs(self, name: str) -> RecordedRuns:
        """Return the recorded runs of a check; none if it has not run yet."""
        with self._lock:
            ring = self._rings.get(name)
            if ring is None:
                return RecordedRuns()
            failed, points, newest = ring.failed, tuple(ring.points_as_runs()), tuple(ring.runs)
        recent = (*points, *[kept.unpacked() for kept in newest])
        return RecordedRuns(recent, tuple([kept.unpacked() for kept in failed]))

    def retain(self, checks: Iterable[Check]) -> None:
        """Forget all checks except these, such as those that a new configuration removed or gave another target."""
        kept = {check.identity for check in checks}
        with self._lock:
            self._rings = {name: ring for name, ring in self._rings.items() if ring.identity in kept}
            self._packing.forget_shapes()


class _Ring:
    """The runs of one check, guarded by the lock of the history.

    Attributes:
        identity: Name, type and target of the check.
        failed: Runs that failed and are older than all others.
        runs: The newest runs, in full; never empty after the first.
        points: The runs before them, as consecutive points.
        point_count: The number of points.
        bytes: The memory that all of them take.
    """

    __slots__ = ("bytes", "failed", "identity", "point_count", "points", "runs")

    def __init__(self, check: Check) -> None:
        self.identity = check.identity
        self.failed: tuple[KeptRun, ...] = ()
        self.runs: list[KeptRun] = []
        self.points = bytearray()
        self.point_count = 0
        self.bytes = 0

    def append(self, run: KeptRun, *, max_runs: int, max_bytes: int) -> None:
        self.runs.append(run)
        self.bytes += run.size_bytes
        while self.point_count and self.point_count + len(self.runs) > max_runs:
            point = self._forget_oldest_point()
            if has_failed(point):
                self._retire(KeptRun(_RUN_BYTES, point))
        while len(self.runs) > max_runs:
            oldest = self.runs.pop(0)
            self.bytes -= oldest.size_bytes
            if has_failed(oldest.data):
                self._retire(oldest)
        while self.bytes > max_bytes and len(self.runs) > 1:
            self._make_point()
        while self.failed and (self.bytes > max_bytes or len(self.failed) > max_runs):
            self.bytes -= self.failed[0].size_bytes
            self.failed = self.failed[1:]
        while self.point_count and self.bytes > max_bytes:
            self._forget_oldest_point()

    def _retire(self, run: KeptRun) -> None:
        """Keep a failed run that is no longer among the last ones."""
        self.failed = (*self.failed, run)
        self.bytes += run.size_bytes

    def points_as_runs(self) -> Iterator[Run]:
        """Yield the points as runs, oldest first."""
        place = 0
        while place < len(self.points):
            yield run_of_point(self.points, place)
            place += point_bytes(self.points, place)

    def _make_point(self) -> None:
        """Reduce the oldest full run to a point."""
        oldest = self.runs.pop(0)
        point = oldest.point
        self.points += point
        self.point_count += 1
        self.bytes += len(point) - oldest.size_bytes

    def _forget_oldest_point(self) -> bytes:
        """Remove the oldest point and return it."""
        size = point_bytes(self.points)
        oldest = bytes(self.points[:size])
        del self.points[:size]
        self.point_count -= 1
        self.bytes -= size
        return oldest


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
