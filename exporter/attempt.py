"""The current attempt: what one execution of one check has measured, observed and logged so far.

The runner opens an Attempt around every `execute`. Executors and `exporter.net` write to it as facts become known,
so that an attempt cut off by a timeout still shows how far it got. It is passed in a context variable, because
`execute(check)` is the whole contract between the runner and an executor.
"""

from __future__ import annotations

from contextvars import ContextVar
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.foreign import text_of
from exporter.model import LogLine, Measurement, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import MetricSpec, Observation

_MAX_LOG_LINES = 200


class Attempt:
    """The facts of one attempt; lives from its start to its result and is written by one task only.

    Attributes:
        started: `perf_counter()` at the start.
        ends_at: `perf_counter()` when the attempt will be cut off.
        timeout_reason: The reason a timeout would have now: `connect_timeout` while connecting, else `timeout`.
        phase: The phase in which the attempt was cut off, if the interrupted code knows it: `tls` or a later one.
            `timeout_reason` identifies the earlier phases.
        timeout_detail: What to report about a timeout besides its limit; empty for nothing.
        measurements: Values measured so far, in order.
        observed: Values observed so far, by subject.
        log: Lines logged so far.
        held_seconds: Time the exporter itself made the check wait; it is part of no duration.
    """

    __slots__ = (
        "ends_at",
        "held_seconds",
        "log",
        "measurements",
        "observed",
        "phase",
        "started",
        "timeout_detail",
        "timeout_reason",
    )

    def __init__(self) -> None:
        self.started = perf_counter()
        self.ends_at = inf
        self.timeout_reason = Reason.TIMEOUT
        self.timeout_detail = ""
        self.phase = ""
        self.measurements: list[Measurement] = []
        self.observed: dict[str, Observation] = {}
        self.log: list[LogLine] = []
        self.held_seconds = 0.0

    def measure(self, spec: MetricSpec, value: float, labels: tuple[str, ...] = ()) -> None:
        """Record the value of one series; a later value of the same series replaces an earlier one."""
        self.measurements.append(Measurement(spec, value, labels))

    def measure_all(self, measurements: Iterable[Measurement]) -> None:
        """Record several values at once."""
        self.measurements.extend(measurements)

    def observe(self, observed: Mapping[str, Observation]) -> None:
        """Record values that expectations may judge."""
        self.observed.update(observed)

    def note(self, message: str, **fields: object) -> None:
        """Log an event with its facts; the number of lines is bounded, so that a chatty peer cannot fill memory.

        Fields must not contain secrets: the page of the check shows them.
        """
        if len(self.log) < _MAX_LOG_LINES:
            if message.__class__ is not str:
                message = text_of(message)
            self.log.append(LogLine(perf_counter() - self.started, message, fields))


_attempt: ContextVar[Attempt] = ContextVar("attempt")


def begin_attempt() -> Attempt:
    """Open a new attempt for the current task; only the runner calls this."""
    attempt = Attempt()
    _attempt.set(attempt)
    return attempt


def current_attempt() -> Attempt:
    """Return the current attempt; outside a runner, a detached one that nobody reads."""
    attempt = _attempt.get(None)
    return begin_attempt() if attempt is None else attempt
