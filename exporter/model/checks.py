"""Configured checks, and when to alert on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from exporter.model.results import Result
from exporter.model.verdicts import ResultStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.allowed_targets import AllowedTargets
    from exporter.model.expectations import Expectation
    from exporter.model.maintenance import MaintenanceWindow
    from exporter.model.metrics import MetricSpec
    from exporter.model.verdicts import Reason

LONGEST_SCRAPE_SECONDS = 120.0
"""Upper bound of the time for a scrape, whatever the request says."""

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
        runbook_url: URL of the instructions; empty for the general ones.
        dashboard_url: The dashboard to look at; empty for the general one.
        summary: One line for people; empty for the general one.
    """

    for_seconds: float
    severity: AlertSeverity
    runbook_url: str = ""
    dashboard_url: str = ""
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


SettingsT = TypeVar("SettingsT", default=Any)
"""The settings model of a check's type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryAddress:
    """How a check tests every address of its target's name; lives with the check, shared by threads.

    Attributes:
        host: The name, or the only address.
        port: The port; 0 for a protocol without ports.
        phases: The family of the seconds spent in each phase; None when the type has none.
        at: Returns the check of one address, without retries, from the address as text.
    """

    host: str
    port: int
    phases: MetricSpec | None
    at: Callable[[str], Check]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[SettingsT]):
    """One configured check of one target; lives as long as the configuration, shared by all threads.

    Attributes:
        name: Unique name, the label `check`.
        check_type: The type, which decides which executor runs it; the label `check_type`.
        target: What is checked, in the form the executor expects; may contain a secret (a token in a URL's query).
        target_label: The label `target` where it must differ from the target, to hide a secret; empty for the target.
        timeout_seconds: Upper bound of one attempt.
        settings: The frozen settings model of the type. A check made in Python may leave it out; the runner then fills
            in the type's defaults, so that executors always find a model here.
        expectations: Conditions on the observed values, each exported separately.
        retries: Further attempts after a failed one.
        retry_delay_seconds: Pause before each further attempt.
        retry_reasons: Only failures with these reasons are retried; empty with no `retry_expectations` means all.
        retry_expectations: A failed attempt is also retried when one of these conditions holds for it.
        labels: User labels, shown on `nyxmon_check_info`.
        interval_seconds: How often discovery asks Prometheus to scrape the check; 0 leaves it to Prometheus.
        min_interval_seconds: For this long the last result is reused instead of running the check again.
        phase_histograms: Whether the duration of each phase is kept in a histogram.
        maintenance: Windows in which failures are expected and do not alert.
        alert: The alerts specific to it; None for the general ones.
        allowed_targets: The targets that it may connect to; None for any, as for a target named in the configuration.
        is_complete: Whether it has the default expectations of its type and has been fully validated, as in a
            configuration; a runner completes other checks.
        prepared: What its type computed once for all runs (`CheckType.prepare`); None when each run computes it.
        every_address: How it tests every address of its target's name; None when it tests one address.
        identity: What identifies it across a reload: name, type and target; its other settings may change.
        passed: The result that an executor returns when the protocol worked; the runner then judges the expectations.
    """

    name: str
    check_type: str
    target: str
    timeout_seconds: float = 10.0
    settings: SettingsT = None  # type: ignore[assignment] # filled in before an executor sees the check
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
    maintenance: tuple[MaintenanceWindow, ...] = ()
    alert: AlertPolicy | None = None
    allowed_targets: AllowedTargets | None = None
    is_complete: bool = field(default=False, repr=False, compare=False)
    prepared: object = field(default=None, repr=False, compare=False)
    every_address: EveryAddress | None = field(default=None, repr=False, compare=False)
    identity: tuple[str, str, str] = field(init=False, repr=False, compare=False)
    passed: Result = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute once what every run needs."""
        object.__setattr__(self, "identity", (self.name, self.check_type, self.target))
        object.__setattr__(self, "passed", Result(check_name=self.name, status=ResultStatus.OK))

    def failed(self, reason: Reason, detail: str) -> Result:
        """Return the result that an executor returns when the target did not do what it should.

        Args:
            reason: The kind of failure.
            detail: One sentence about it, for people.
        """
        return Result(check_name=self.name, status=ResultStatus.ERROR, reason=reason, detail=detail)

    @property
    def longest_run_seconds(self) -> float:
        """How long a run can take when every attempt uses its whole timeout."""
        return (self.retries + 1) * self.timeout_seconds + self.retries * self.retry_delay_seconds

    def in_maintenance(self, timestamp_seconds: float) -> bool:
        """Whether a Unix time is within one of its maintenance windows."""
        return any(window.covers(timestamp_seconds) for window in self.maintenance)

    @property
    def shown_target(self) -> str:
        """The target as shown in labels, logs and pages."""
        return self.target_label or self.target
