"""The result of one check, the log of its run, and the report on a batch of checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from exporter.foreign import text_of
from exporter.quantities import number_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.model.certificates import CertificateFacts
    from exporter.model.expectations import ExpectationOutcome, Observation
    from exporter.model.metrics import Measurement
    from exporter.model.verdicts import Reason, ResultStatus


class LogLine(NamedTuple):
    """One line in the log of a run: seconds since the attempt began, what happened, and its facts."""

    offset_seconds: float
    message: str
    fields: Mapping[str, object]

    def texts(self) -> dict[str, str]:
        """Return its facts as text for people: a float is a duration if its name says so, else a number."""
        return {name: _text(name, value) for name, value in self.fields.items()}


def _text(name: str, value: object) -> str:
    if isinstance(value, float):
        return seconds_text(value) if name.endswith("seconds") else number_text(value)
    return text_of(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one check in one batch.

    Executors fill in `check_name`, `status`, `reason`, `detail`, `measurements` and `observed`; the runner judges the
    expectations and adds everything below them.

    Attributes:
        check_name: Name of the check.
        status: The verdict.
        reason: Why it is not ok; None when it is.
        detail: One sentence about the failure, for people; may quote the target, so never a label value.
        measurements: Values of the series of this type; a later value replaces an earlier one of the same series.
        observed: Subject name to observed value, for the expectations.
        expectations: The outcome of each expectation, in the order of the check.
        certificates: What the server presented, its own certificate first.
        duration_seconds: Wall time of all attempts, including the waits between them.
        attempts: Attempts made; 0 when the check was not started.
        timeout_seconds: The time limit of the last attempt.
        started_timestamp_seconds: Unix time when the first attempt began; 0 when none did.
        log: What happened, in order.
    """

    check_name: str
    status: ResultStatus
    reason: Reason | None = None
    detail: str = ""
    measurements: tuple[Measurement, ...] = ()
    observed: Mapping[str, Observation] = field(default_factory=dict, repr=False, compare=False)
    expectations: tuple[ExpectationOutcome, ...] = ()
    certificates: tuple[CertificateFacts, ...] = field(default=(), repr=False, compare=False)
    duration_seconds: float = 0.0
    attempts: int = 0
    timeout_seconds: float = 0.0
    started_timestamp_seconds: float = 0.0
    log: tuple[LogLine, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The report on one batch: how many checks it ran and what that took.

    Attributes:
        checks: Checks in the batch.
        duration_seconds: From the call until the last result was handed over and everything was closed.
        budget_seconds: Time allowed for the batch; None when it was unbounded.
        deadline_exceeded: Checks that were cut off by the batch's deadline.
        stuck_checks: Names of checks that ignored cancellation and were left behind, in this or an earlier batch.
        http_client_created: Whether the batch needed an HTTP client.
        http_requests: Requests sent, including those after redirects.
        http_connections_opened: Connections opened for them.
        http_connections_reused: Requests sent over a connection opened earlier.
        executors_instantiated: Check type to number of executors created for the batch.
        cleanup_seconds: Resource (an executor's check type, or `http_client`) to the seconds that closing it took.
        cleanup_errors: Resource to number of closings that failed or timed out.
        stream_buffer_size: Capacity of the result stream.
        stream_high_water: Most results waiting in it at once.
        start_wait_seconds: For each started check, how long pacing held it back.
        loop_lag_seconds: Longest observed delay of the event loop.
    """

    checks: int
    duration_seconds: float
    budget_seconds: float | None
    deadline_exceeded: int = 0
    stuck_checks: tuple[str, ...] = ()
    http_client_created: bool = False
    http_requests: int = 0
    http_connections_opened: int = 0
    http_connections_reused: int = 0
    executors_instantiated: Mapping[str, int] = field(default_factory=dict)
    cleanup_seconds: Mapping[str, float] = field(default_factory=dict)
    cleanup_errors: Mapping[str, int] = field(default_factory=dict)
    stream_buffer_size: int = 0
    stream_high_water: int = 0
    start_wait_seconds: tuple[float, ...] = ()
    loop_lag_seconds: float = 0.0
