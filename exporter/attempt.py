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
    from types import TracebackType

    from exporter.allowed_targets import AllowedTargets
    from exporter.model import CertificateFacts, MetricSpec, Observation

_MAX_LOG_LINES = 200


class Attempt:
    """The facts of one attempt; lives from its start to its result and is written by one task only.

    Attributes:
        started: `perf_counter()` at the start.
        ends_at: `perf_counter()` when the attempt will be cut off.
        timeout_reason: The reason of a timeout that happens now: `connect_timeout` while connecting, else `timeout`.
        phase_name: The current phase, or the one in which the attempt was cut off; empty for none.
        phase_began: `clock()` when the current phase began or went on; 0 when none is measured.
        phase_seconds: Seconds spent in each phase so far, without the current one.
        timeout_detail: What to report about a timeout besides its limit; empty for nothing.
        measurements: Values measured so far, in order.
        observed: Values observed so far, by subject.
        certificates: What the server of the last connection with TLS presented, its own certificate first.
        log: Lines logged so far, with the seconds since the start, held time left out.
        held_seconds: Time the exporter itself made the check wait; it is part of no duration.
        has_turn: Whether the runner let the check start just now, so that its first handshake needs no turn of its own.
        network: The network of the batch (an `exporter.net.Network`), used by `exporter.plugin` to connect; None
            outside a runner.
        allowed_targets: The targets that the check may connect to; None for any.
    """

    __slots__ = (
        "allowed_targets",
        "certificates",
        "ends_at",
        "has_turn",
        "held_seconds",
        "log",
        "measurements",
        "network",
        "observed",
        "phase_began",
        "phase_name",
        "phase_seconds",
        "started",
        "timeout_detail",
        "timeout_reason",
    )

    def __init__(self) -> None:
        self.started = perf_counter()
        self.ends_at = inf
        self.timeout_reason = Reason.TIMEOUT
        self.timeout_detail = ""
        self.phase_began = 0.0
        self.phase_name = ""
        self.phase_seconds: dict[str, float] = {}
        self.measurements: list[Measurement] = []
        self.observed: dict[str, Observation] = {}
        self.certificates: tuple[CertificateFacts, ...] = ()
        self.log: list[LogLine] = []
        self.held_seconds = 0.0
        self.has_turn = False
        self.network: object = None
        self.allowed_targets: AllowedTargets | None = None

    def phase(
        self, name: str, *, on_timeout: Reason = Reason.TIMEOUT, detail: str = "", is_measured: bool = True
    ) -> Phase:
        """Return a context manager that names the current phase and measures it.

        A phase within another one interrupts it, so that no second counts twice. Seconds of a repeated phase add up.

        Args:
            name: The phase, as `CheckType.phases` declares it; empty for none that is reported.
            on_timeout: The reason of a timeout during the phase.
            detail: What to report about such a timeout besides its limit.
            is_measured: False where its seconds are measured in another way, as those of ConnectionFacts are.
        """
        return Phase(self, name, on_timeout, detail, is_measured)

    def add_phase(self, name: str, seconds: float) -> None:
        """Count seconds that were measured in another way as part of a phase."""
        self.phase_seconds[name] = self.phase_seconds.get(name, 0.0) + seconds

    def seconds_by_phase(self) -> dict[str, float]:
        """Return the seconds spent in each phase so far, with the current one."""
        seconds = dict(self.phase_seconds)
        if self.phase_began:
            seconds[self.phase_name] = seconds.get(self.phase_name, 0.0) + self.clock() - self.phase_began
        return seconds

    def seconds_so_far(self) -> float:
        """Return how long the attempt has lasted, without the time that the exporter itself made the check wait."""
        return perf_counter() - self.started - self.held_seconds

    def clock(self) -> float:
        """Return `perf_counter()` without the time that the exporter itself made the check wait."""
        return perf_counter() - self.held_seconds

    def stop_phase(self) -> bool:
        """Count the seconds of the current phase until now; return whether one was measured."""
        if not self.phase_began:
            return False
        self.add_phase(self.phase_name, self.clock() - self.phase_began)
        self.phase_began = 0.0
        return True

    def held(self, *, on_timeout: Reason | None = None, detail: str) -> Held:
        """Return a context manager for time in which the exporter itself makes the check wait.

        Args:
            on_timeout: The reason of a timeout in that time; None for the reason in force.
            detail: What to report about such a timeout besides its limit.
        """
        return Held(self, on_timeout, detail)

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
            self.log.append(LogLine(self.seconds_so_far(), message, fields))


class Phase:
    """One phase of an attempt, as a context manager that can be entered once.

    On exit, the previous phase becomes current again, unless the attempt was cut off: then this phase stays current, so
    that the report can name it.
    """

    __slots__ = ("_attempt", "_before", "_detail", "_goes_on", "_is_measured", "_name", "_on_timeout")

    def __init__(self, attempt: Attempt, name: str, on_timeout: Reason, detail: str, is_measured: bool) -> None:  # noqa: FBT001 - `Attempt.phase` names it
        self._attempt = attempt
        self._name = name
        self._on_timeout = on_timeout
        self._detail = detail
        self._is_measured = is_measured

    def __enter__(self) -> None:
        attempt = self._attempt
        self._goes_on = attempt.phase_began > 0 and attempt.stop_phase()
        self._before = attempt.phase_name, attempt.timeout_reason, attempt.timeout_detail
        attempt.phase_name, attempt.timeout_reason, attempt.timeout_detail = self._name, self._on_timeout, self._detail
        if self._is_measured:
            attempt.phase_began = attempt.clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        attempt = self._attempt
        if self._is_measured:
            attempt.stop_phase()
        if kind is not None and not issubclass(kind, Exception):
            return
        attempt.phase_name, attempt.timeout_reason, attempt.timeout_detail = self._before
        if self._goes_on:
            attempt.phase_began = attempt.clock()


class Held:
    """Time in which the exporter holds the check, as a context manager that can be entered once.

    Its seconds are added to `Attempt.held_seconds`. On exit, the previous timeout reason and detail apply again, unless
    the attempt was cut off.
    """

    __slots__ = ("_attempt", "_before", "_began", "_detail", "_on_timeout")

    def __init__(self, attempt: Attempt, on_timeout: Reason | None, detail: str) -> None:
        self._attempt = attempt
        self._on_timeout = on_timeout
        self._detail = detail

    def __enter__(self) -> None:
        attempt = self._attempt
        self._before = attempt.timeout_reason, attempt.timeout_detail
        attempt.timeout_reason, attempt.timeout_detail = self._on_timeout or attempt.timeout_reason, self._detail
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        attempt = self._attempt
        attempt.held_seconds += perf_counter() - self._began
        if kind is None or issubclass(kind, Exception):
            attempt.timeout_reason, attempt.timeout_detail = self._before


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
