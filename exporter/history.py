"""What the last runs of each check were like: a bounded ring per check, for the pages that people look at.

The newest runs keep their log, measurements and judged expectations; older ones are reduced to a point (verdict,
reason, duration), so that there is a row of points however many checks share the memory.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import LogLine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exporter.model import Check, ExpectationOutcome, Measurement, Reason, Result, ResultStatus

_MAX_TEXT_CHARACTERS = 1000
_POINT_BYTES = 400
_POINT_DETAIL_CHARACTERS = 200
_LOG_LINE_BYTES = 300
_FIELD_BYTES = 50
_MEASUREMENT_BYTES = 100
_EXPECTATION_BYTES = 200
_SMALL = frozenset((int, float, bool, type(None)))


class Run(NamedTuple):
    """One run of a check as it is remembered; immutable.

    Attributes:
        status: The verdict.
        reason: Why it was not ok; None when it was.
        detail: One sentence about the failure, cut to a bounded length.
        recorded_timestamp_seconds: Unix time at which the result came in.
        started_timestamp_seconds: Unix time at which the first attempt began; 0 when none did.
        duration_seconds: Wall time of all attempts.
        attempts: Attempts made; 0 when the check was not started.
        timeout_seconds: The bound in force for the last attempt.
        expectations: How each expectation fared; empty once the run is only a point.
        measurements: What was measured; empty once the run is only a point.
        log: What happened, in order; empty once the run is only a point.
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


class History:
    """Recent runs per check; lives for the process, shared by threads.

    The memory is divided evenly among the checks. The newest run of a check may take half of its share: what does not
    fit of its measurements and then of its log is left out. Over its share, a check turns older runs into points,
    then forgets the oldest points.
    """

    def __init__(self, runs_per_check: int = 30, max_bytes: int = 64 * 1024 * 1024) -> None:
        """Make an empty history.

        Args:
            runs_per_check: Most runs that are remembered for one check.
            max_bytes: Memory for all checks together, as estimated.
        """
        if runs_per_check < 1:
            raise ValueError(f"runs_per_check is {runs_per_check}; it must be 1 or more")
        self._runs_per_check = runs_per_check
        self._max_bytes = max_bytes
        self._rings: dict[str, _Ring] = {}
        self._lock = Lock()

    def record(self, check: Check, result: Result) -> None:
        """Remember a result; the oldest run of the check gives way.

        A check that has come to mean another type or target starts anew.
        """
        meaning = (check.check_type, check.target)
        run, size = _remembered(result)
        with self._lock:
            ring = self._rings.get(check.name)
            if ring is None or ring.meaning != meaning:
                ring = self._rings[check.name] = _Ring(meaning)
            share = self._max_bytes // len(self._rings)
            ring.append(run, size, max_runs=self._runs_per_check, max_bytes=share)

    def latest(self, name: str) -> Run | None:
        """Give the newest run of a check; None when it has not run yet."""
        with self._lock:
            ring = self._rings.get(name)
            return ring.runs[-1] if ring else None

    def runs(self, name: str) -> tuple[Run, ...]:
        """Give the remembered runs of a check, oldest first."""
        with self._lock:
            ring = self._rings.get(name)
            return tuple(ring.runs) if ring else ()

    def retain(self, names: Collection[str]) -> None:
        """Forget every check that is not among these, such as those that a new configuration no longer has."""
        with self._lock:
            for name in self._rings.keys() - set(names):
                del self._rings[name]


class _Ring:
    """The runs of one check with their sizes; guarded by the lock of the history."""

    __slots__ = ("bytes", "meaning", "points", "runs", "sizes")

    def __init__(self, meaning: tuple[str, str]) -> None:
        self.meaning = meaning
        self.runs: deque[Run] = deque()
        self.sizes: deque[int] = deque()
        self.points = 0
        self.bytes = 0

    def append(self, run: Run, size: int, *, max_runs: int, max_bytes: int) -> None:
        if size > max_bytes // 2:
            run, size = _cut(run, max_bytes // 2)
        self.runs.append(run)
        self.sizes.append(size)
        self.bytes += size
        while len(self.runs) > max_runs:
            self._forget_oldest()
        while self.bytes > max_bytes and self.points < len(self.runs) - 1:
            self._make_point(self.points)
            self.points += 1
        while self.bytes > max_bytes and len(self.runs) > 1:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self.runs.popleft()
        self.bytes -= self.sizes.popleft()
        self.points = max(0, self.points - 1)

    def _make_point(self, index: int) -> None:
        run, size = _as_point(self.runs[index])
        self.bytes += size - self.sizes[index]
        self.runs[index] = run
        self.sizes[index] = size


def _remembered(result: Result) -> tuple[Run, int]:
    """Turn a result into a run whose texts are bounded, and estimate the memory it takes."""
    log = result.log
    log_bytes = _bytes_of(log)
    if log_bytes is None:
        log = tuple(map(_bounded, log))
        log_bytes = _bytes_of(log) or 0
    detail = result.detail[:_MAX_TEXT_CHARACTERS]
    size = _POINT_BYTES + len(detail) + log_bytes
    size += _MEASUREMENT_BYTES * len(result.measurements) + _EXPECTATION_BYTES * len(result.expectations)
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
    )
    return run, size


def _as_point(run: Run) -> tuple[Run, int]:
    detail = run.detail[:_POINT_DETAIL_CHARACTERS]
    return run._replace(detail=detail, expectations=(), measurements=(), log=()), _POINT_BYTES + len(detail)


def _cut(run: Run, max_bytes: int) -> tuple[Run, int]:
    """Leave out the measurements, then as many of the last log lines as do not fit."""
    size = _POINT_BYTES + len(run.detail) + _EXPECTATION_BYTES * len(run.expectations)
    room = max(0, max_bytes - size)
    log, log_bytes = run.log, _bytes_of(run.log) or 0
    while log_bytes > room:
        log = log[: min(len(log) - 1, len(log) * room // log_bytes)]
        log_bytes = _bytes_of(log) or 0
    return run._replace(measurements=(), log=log), size + log_bytes


def _bytes_of(log: tuple[LogLine, ...]) -> int | None:
    """Estimate the memory of a log; None when it holds something that is not small.

    It is one plain loop, because every result of every scrape comes through here.
    """
    size = _LOG_LINE_BYTES * len(log)
    for _, message, fields in log:
        length = len(message)
        if length > _MAX_TEXT_CHARACTERS:
            return None
        size += length + _FIELD_BYTES * len(fields)
        for value in fields.values():
            kind = value.__class__
            if kind is str:
                length = len(value)  # type: ignore[arg-type] # its class has just been looked at
                if length > _MAX_TEXT_CHARACTERS:
                    return None
                size += length
            elif kind not in _SMALL:
                return None
    return size


def _bounded(line: LogLine) -> LogLine:
    """Give the line with long texts cut and objects turned into text, so that it keeps no body alive."""
    fields: Mapping[str, object] = {
        name: value if value.__class__ in _SMALL else str(value)[:_MAX_TEXT_CHARACTERS]
        for name, value in line.fields.items()
    }
    return LogLine(line.offset_seconds, line.message[:_MAX_TEXT_CHARACTERS], fields)
