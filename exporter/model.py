"""What is asked (Check), what came of it (Result, Batch), and the closed vocabularies both are told in.

Everything here is immutable and free of I/O, so that overlapping batches, worker threads and pages may share it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ResultStatus(StrEnum):
    """The verdict on one check; the number in `probe_status` is `code`."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"

    @property
    def code(self) -> int:
        """0 for ok, 1 for warning, 2 for error."""
        return _STATUS_CODES[self]

    @property
    def state(self) -> str:
        """The state of the check as people read it: ok, degraded, failing."""
        return _STATES[self]


_STATUS_CODES = {ResultStatus.OK: 0, ResultStatus.WARNING: 1, ResultStatus.ERROR: 2}
_STATES = {ResultStatus.OK: "ok", ResultStatus.WARNING: "degraded", ResultStatus.ERROR: "failing"}


class Severity(StrEnum):
    """What a failed expectation does to the verdict."""

    ERROR = "error"
    WARNING = "warning"


class Reason(StrEnum):
    """Why a check failed: a closed set, because it is a label value. Free text goes to `Result.detail` and the log."""

    RESOLVE = "resolve"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECTION_RESET = "connection_reset"
    UNREACHABLE = "unreachable"
    LOCAL = "local"
    TLS = "tls"
    CERTIFICATE = "certificate"
    STARTTLS = "starttls"
    AUTH = "auth"
    PROTOCOL = "protocol"
    DECODE = "decode"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    STATUS = "status"
    RCODE = "rcode"
    EXPECTATION = "expectation"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    RUNNER = "runner"
    INTERNAL = "internal"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MetricSpec:
    """The declaration of one gauge family that a check yields; compared by identity, declared once as a constant.

    Attributes:
        name: Full metric name with its base unit, such as `probe_http_duration_seconds`.
        help: What the value means, and what 0 and absence mean.
        labels: Names of the labels besides check, check_type and target.
        defaults: Label values and value of every series that a check of this type always has: given out
            whenever a run ended before the value could be measured. Series not named here may be absent.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    defaults: tuple[tuple[tuple[str, ...], float], ...] = ()

    def __repr__(self) -> str:
        return f"MetricSpec({self.name})"


class Measurement(NamedTuple):
    """One value of one series of a check: the family, its value, and the values of the family's own labels."""

    spec: MetricSpec
    value: float
    labels: tuple[str, ...] = ()


class SelectorKind(StrEnum):
    """What a subject needs beside its name to say which value is meant."""

    NONE = "none"
    TEXT = "text"
    HEADER_NAME = "header_name"
    JSON_PATH = "json_path"


class ValueKind(StrEnum):
    """The kind of value a subject yields; it decides which operators and operands fit."""

    NUMBER = "number"
    DAYS = "days"
    DURATION = "duration"
    STATUS = "status"
    TEXT = "text"
    TEXTS = "texts"
    LINES = "lines"
    FLAG = "flag"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something an expectation can be about, declared by the check type that can observe it.

    Attributes:
        name: The key in `expect`, such as `status` or `json`.
        kind: The kind of value observed.
        description: One line for the JSON Schema and the README.
        selector: What the subject needs to be told besides: a header's name, a JSONPath.
        reason: The reason of a check that fails because of this subject.
        choices: The only texts there can be, such as the rcodes of DNS; empty when there is no such list.
        spelled: Gives a text in the spelling in which it would be observed. Raises ValueError, with what to write, for
            one that never is.
        bounds: The least and the greatest number there can be, both whole; None for any number.
    """

    name: str
    kind: ValueKind
    description: str
    selector: SelectorKind = SelectorKind.NONE
    reason: Reason = Reason.EXPECTATION
    choices: tuple[str, ...] = ()
    spelled: Callable[[str], str] | None = None
    bounds: tuple[float, float] | None = None


Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "in", "contains", "matches", "not_matches", "exists", "any_of", "all_of",
    "none_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One demand on one observed value, compiled when the configuration was loaded.

    Attributes:
        label: Value of the label `expectation`; unique within its check.
        subject: What is looked at.
        operator: How it is compared.
        operand: What it is compared with, compiled: a number, a pattern, a tuple of texts, a set of ranges.
        selector: The compiled selector (JSONPath) or its text (header name); None for subjects without one.
        severity: Whether missing it is an error or a warning.
        is_default: Whether it is one that the check type has by itself; when it is missed, it is the reason.
    """

    label: str
    subject: Subject
    operator: Operator
    operand: object
    selector: object = None
    severity: Severity = Severity.ERROR
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """How one expectation fared in one run.

    Attributes:
        expectation: The expectation judged.
        ok: Whether it held.
        value: The observed number for `probe_expectation_value`; NaN when nothing numeric was observed.
        observed: The observed value as text, cut to a bounded length, for the log and the page.
        evaluated: False when the run ended before the value could be observed.
        reason: Why the value could not be observed, where that is known; it is then the reason of the failure.
        detail: The same in a sentence.
    """

    expectation: Expectation
    ok: bool
    value: float = float("nan")
    observed: str = ""
    evaluated: bool = True
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """An observation that was judged elsewhere because it is large: only what came of it is known.

    Attributes:
        outcomes: `id()` of an expectation to its outcome.
    """

    outcomes: Mapping[int, ExpectationOutcome]


LONGEST_SCRAPE_SECONDS = 120.0
"""No scrape is given more time than this, whatever it asks for."""

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class AlertSeverity(StrEnum):
    """How bad an alert is: the label that the shipped Alertmanager configuration routes by, the worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTerms:
    """On which terms one state of a check is told.

    Attributes:
        for_seconds: How long the state must last.
        severity: How bad it is.
        runbook_url: Where it stands what to do; empty for the general advice.
        summary: One line for people; empty for a general one.
    """

    for_seconds: float
    severity: AlertSeverity
    runbook_url: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """The alerts that a check has of its own, in the place of those that all checks have.

    Attributes:
        failing: The terms for a check that fails.
        degraded: The terms for one that is degraded; None leaves that to the general alert.
        certificate_seconds_left: Severity to the time left of a certificate below which it is told; empty leaves
            certificates to the general alerts.
        labels: Labels of these alerts besides those of the check.
    """

    failing: AlertTerms
    degraded: AlertTerms | None = None
    certificate_seconds_left: Mapping[AlertSeverity, float] = field(default_factory=lambda: MappingProxyType({}))
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One configured check of one target; lives as long as the configuration, shared by all threads.

    Attributes:
        name: Unique name, the label `check`.
        check_type: The type that decides which executor runs it, the label `check_type`.
        target: What is checked, in the form the executor wants; may carry a secret (a token in a URL's query).
        target_label: The label `target` where it must differ from the target, to hide a secret; empty: the target.
        timeout_seconds: Upper bound of one attempt.
        settings: The frozen settings model of the type; None stands for the type's defaults.
        expectations: Demands on the observed values, each exported by itself.
        retries: Further attempts after a failed one.
        retry_delay_seconds: Pause before each further attempt.
        retry_reasons: Only failures with these reasons are retried; empty with no `retry_expectations` means all.
        retry_expectations: A failed attempt is retried as well when one of these conditions holds for it.
        labels: User labels, shown on `nyxmon_check_info`.
        interval_seconds: How often discovery asks Prometheus to scrape the check; 0 leaves it to Prometheus.
        min_interval_seconds: Within it the last result is given again instead of running the check.
        phase_histograms: Whether the duration of each phase is kept in a histogram.
        alert: The alerts it has of its own; None leaves it to those that all checks have.
        is_complete: Whether the default expectations of its type are among its expectations, and all of it has been
            checked, as a configuration does; a runner completes the others.
        prepared: What its type worked out for every run (`CheckType.prepare`); None where a run works it out.
    """

    name: str
    check_type: str
    target: str
    timeout_seconds: float = 10.0
    settings: object = None
    expectations: tuple[Expectation, ...] = ()
    retries: int = 0
    retry_delay_seconds: float = 0.0
    retry_reasons: frozenset[Reason] = frozenset()
    retry_expectations: tuple[Expectation, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)
    interval_seconds: float = 0.0
    min_interval_seconds: float = 0.0
    phase_histograms: bool = False
    target_label: str = ""
    alert: AlertPolicy | None = None
    is_complete: bool = field(default=False, repr=False, compare=False)
    prepared: object = field(default=None, repr=False, compare=False)

    @property
    def longest_run_seconds(self) -> float:
        """How long a run can take when every attempt uses up its time."""
        return (self.retries + 1) * self.timeout_seconds + self.retries * self.retry_delay_seconds

    @property
    def shown_target(self) -> str:
        """The target as labels, logs and pages may show it."""
        return self.target_label or self.target


class LogLine(NamedTuple):
    """One line of the log of a run: seconds since the run began, what happened, and the facts of it."""

    offset_seconds: float
    message: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Explained:
    """An observed flag with what made it so, which is shown beside it.

    Attributes:
        value: The flag.
        why: What made it so.
    """

    value: bool
    why: str


Observed = float | int | bool | str | tuple[str, ...] | list[object] | dict[str, object] | Explained | None
"""A value an expectation can judge; None means that the thing looked at is not there."""

Observation: TypeAlias = "Observed | Callable[[object], Observed] | Judged"
"""An observed value, or a function that finds it for a selector (or for None, where finding it is costly), or what
came of it. A function raises CheckFailed to fail with a reason of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one check in one batch.

    Executors fill in `check_name`, `status`, `reason`, `detail`, `measurements` and `observed`; the runner judges the
    expectations and adds everything below them.

    Attributes:
        check_name: Name of the check.
        status: The verdict.
        reason: Why it is not ok; None when it is.
        detail: One sentence about the failure, for people; may quote the target, so never a label value.
        measurements: Values of the series of this type; later ones win over earlier ones of the same series.
        observed: Subject name to observed value, for the expectations.
        expectations: How each expectation of the check fared, in the order of the check.
        duration_seconds: Wall time of all attempts, waiting between them included.
        attempts: Attempts made; 0 when the check was not started.
        timeout_seconds: The bound that was in force for the last attempt.
        started_timestamp_seconds: Unix time at which the first attempt began; 0 when none did.
        log: What happened, in order.
    """

    check_name: str
    status: ResultStatus
    reason: Reason | None = None
    detail: str = ""
    measurements: tuple[Measurement, ...] = ()
    observed: Mapping[str, Observation] = field(default_factory=dict, repr=False, compare=False)
    expectations: tuple[ExpectationOutcome, ...] = ()
    duration_seconds: float = 0.0
    attempts: int = 0
    timeout_seconds: float = 0.0
    started_timestamp_seconds: float = 0.0
    log: tuple[LogLine, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The report on one batch: how many checks it ran and what running them took.

    Attributes:
        checks: Checks in the batch.
        duration_seconds: From the call until the last result was handed over and everything was closed.
        budget_seconds: Time the batch was given; None when it was unbounded.
        deadline_exceeded: Checks that were cut off by the batch's deadline.
        stuck_checks: Names of checks that ignored cancellation and were left behind, in this or an earlier batch.
        http_client_created: Whether the batch needed an HTTP client.
        http_requests: Requests sent, those after redirects included.
        http_connections_opened: Connections opened for them.
        http_connections_reused: Requests that went over a connection opened earlier.
        executors_instantiated: Check type to number of executors made for the batch.
        cleanup_seconds: Resource (an executor's check type, or `http_client`) to seconds its closing took.
        cleanup_errors: Resource to number of closings that failed or ran out of time.
        stream_buffer_size: Capacity of the result stream.
        stream_high_water: Most results that were waiting in it.
        start_wait_seconds: For each started check, how long pacing held it back.
        loop_lag_seconds: Longest time the event loop was seen to be late.
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
