"""The data model: what to check (Check), what happened (Result, Batch), and the enums that both use.

Everything here is immutable and does no I/O, so that overlapping batches, worker threads and pages may share it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ResultStatus(StrEnum):
    """The verdict on one check; `probe_status` shows its `code`."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"

    @property
    def code(self) -> int:
        """The verdict as a number: 0 for ok, 1 for warning, 2 for error."""
        return _STATUS_CODES[self]

    @property
    def state(self) -> str:
        """The state of the check for people: ok, degraded or failing."""
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
    """The declaration of one gauge family of a check type; compared by identity, declared once as a constant.

    Attributes:
        name: Full metric name with its base unit, such as `probe_http_duration_seconds`.
        help: What the value means, and what 0 and absence mean.
        labels: Names of the labels besides check, check_type and target.
        defaults: Label values and value of every series that a check of this type always has: shown when a run
            ended before the value could be measured. Other series may be absent.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    defaults: tuple[tuple[tuple[str, ...], float], ...] = ()

    def __repr__(self) -> str:
        return f"MetricSpec({self.name})"


class Measurement(NamedTuple):
    """The value of one series of a check: its family, the value, and the values of the family's labels."""

    spec: MetricSpec
    value: float
    labels: tuple[str, ...] = ()


class SelectorKind(StrEnum):
    """What a subject needs besides its name to select a value."""

    NONE = "none"
    TEXT = "text"
    HEADER_NAME = "header_name"
    JSON_PATH = "json_path"


class ValueKind(StrEnum):
    """The kind of value a subject has; it decides which operators and operands are allowed."""

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
    """Something that expectations can judge, declared by the check type that observes it.

    Attributes:
        name: The key in `expect`, such as `status` or `json`.
        kind: The kind of value observed.
        description: One line for the JSON Schema and the README.
        selector: What the subject needs besides its name: a header's name, a JSONPath.
        reason: The reason of a check that fails because of this subject.
        choices: The only possible texts, such as the rcodes of DNS; empty when there is no such list.
        spelled: Returns a text in the spelling in which it would be observed. Raises ValueError, with what to write,
            for a text that is never observed.
        bounds: The least and the greatest possible number, both whole; None for any number.
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
    """One condition on one observed value, compiled when the configuration was loaded.

    Attributes:
        label: Value of the label `expectation`; unique within its check.
        subject: What is judged.
        operator: How it is compared.
        operand: What it is compared with, compiled: a number, a pattern, a tuple of texts, a set of ranges.
        selector: The compiled selector (JSONPath) or its text (header name); None for subjects without one.
        severity: Whether a missed expectation is an error or a warning.
        is_default: Whether the check type adds it by default; when missed, it takes precedence as the reason.
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
    """The outcome of one expectation in one run.

    Attributes:
        expectation: The expectation judged.
        ok: Whether it held.
        value: The observed number for `probe_expectation_value`; NaN when nothing numeric was observed.
        observed: The observed value as text, cut to a bounded length, for the log and the page.
        evaluated: False when the run ended before the value could be observed.
        reason: Why the value could not be observed, if known; it is then the reason of the failure.
        detail: The same as a sentence.
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
    """An observation that was judged elsewhere because it is large: only its outcomes are known.

    Attributes:
        outcomes: Maps the `id()` of each expectation to its outcome.
    """

    outcomes: Mapping[int, ExpectationOutcome]


LONGEST_SCRAPE_SECONDS = 120.0
"""The longest time for a scrape, whatever it asks for."""

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class AlertSeverity(StrEnum):
    """How severe an alert is: the label by which the shipped Alertmanager configuration routes, worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTerms:
    """When and how to alert on one state of a check.

    Attributes:
        for_seconds: How long the state must last.
        severity: How severe the alert is.
        runbook_url: Where to read what to do; empty for the general advice.
        summary: One line for people; empty for the general one.
    """

    for_seconds: float
    severity: AlertSeverity
    runbook_url: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """The alerts specific to a check, which replace the general ones.

    Attributes:
        failing: The terms for a failing check.
        degraded: The terms for a degraded check; None leaves it to the general alert.
        certificate_seconds_left: Severity to the remaining validity of a certificate, in seconds, below which it
            alerts; empty leaves certificates to the general alerts.
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
        check_type: The type, which decides which executor runs it; the label `check_type`.
        target: What is checked, in the form the executor expects; may contain a secret (a token in a URL's query).
        target_label: The label `target` where it must differ from the target, to hide a secret; empty for the target.
        timeout_seconds: Upper bound of one attempt.
        settings: The frozen settings model of the type; None for the type's defaults.
        expectations: Conditions on the observed values, each exported separately.
        retries: Further attempts after a failed one.
        retry_delay_seconds: Pause before each further attempt.
        retry_reasons: Only failures with these reasons are retried; empty with no `retry_expectations` means all.
        retry_expectations: A failed attempt is also retried when one of these conditions holds for it.
        labels: User labels, shown on `nyxmon_check_info`.
        interval_seconds: How often discovery asks Prometheus to scrape the check; 0 leaves it to Prometheus.
        min_interval_seconds: For this long the last result is reused instead of running the check again.
        phase_histograms: Whether the duration of each phase is kept in a histogram.
        alert: The alerts specific to it; None for the general ones.
        is_complete: Whether it has the default expectations of its type and has been fully validated, as in a
            configuration; a runner completes other checks.
        prepared: What its type computed once for all runs (`CheckType.prepare`); None when each run computes it.
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
        """How long a run can take when every attempt uses its whole timeout."""
        return (self.retries + 1) * self.timeout_seconds + self.retries * self.retry_delay_seconds

    @property
    def shown_target(self) -> str:
        """The target as shown in labels, logs and pages."""
        return self.target_label or self.target


class LogLine(NamedTuple):
    """One line in the log of a run: seconds since the attempt began, what happened, and its facts."""

    offset_seconds: float
    message: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Explained:
    """An observed flag with its explanation, which is shown beside it.

    Attributes:
        value: The flag.
        why: Why it has this value.
    """

    value: bool
    why: str


Observed = float | int | bool | str | tuple[str, ...] | list[object] | dict[str, object] | Explained | None
"""A value that an expectation can judge; None when there is no such value."""

Observation: TypeAlias = "Observed | Callable[[object], Observed] | Judged"
"""An observed value, or a function that returns it for a selector (or for None, where finding it is costly), or its
outcomes. A function raises CheckFailed to fail with a specific reason."""


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
