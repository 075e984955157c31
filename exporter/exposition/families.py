"""The catalogue of metric families that the exporter can show: name, kind, help and labels, in page order.

The families specific to a check type come from its declaration (`CheckType.metrics`); all others are defined here.
Names follow blackbox_exporter where it has the same metric, so that its dashboards work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.exposition.declarations import name_of, problem_of_metric
from exporter.masking import unmasked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.checks.base import CheckType
    from exporter.masking import Mask
    from exporter.model import MetricSpec


class Kind(StrEnum):
    """The type of a family, as named in the exposition formats."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Family:
    """One metric family; a constant, compared by identity.

    Attributes:
        name: Name in the text format; a counter's name ends in `_total`.
        help: What the value means, and what 0 and absence mean.
        kind: Gauge, counter or histogram.
        labels: Names of the labels besides check, check_type and target.
        about_checks: Whether its series carry the labels of a check.
        buckets: Upper bounds of a histogram's buckets, ascending, without infinity.
        sample_names: The names of its samples.
    """

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    about_checks: bool = False
    buckets: tuple[float, ...] = ()
    sample_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        parts = ("_bucket", "_count", "_sum") if self.kind is Kind.HISTOGRAM else ("",)
        object.__setattr__(self, "sample_names", tuple(self.name + part for part in parts))


def _probe(name: str, text: str, *labels: str) -> Family:
    return Family(name=f"probe_{name}", help=text, labels=labels, about_checks=True)


SUCCESS = _probe("success", "1 when the check succeeded, warnings included; 0 when it failed.")
DURATION = _probe("duration_seconds", "How long the check took, further attempts and the pauses between them included.")
TIMEOUT = _probe("timeout_seconds", "The time limit that was in force for the last attempt.")
STATUS = _probe("status", "The verdict: 0 ok, 1 warning, 2 error.")
ATTEMPTS = _probe("attempts", "Attempts made; 0 when the check could not be started.")
RESULT_AGE = _probe(
    "result_age_seconds",
    "Age of the result; 0 unless the check has a minimum interval, within which its last result is shown again.",
)
MAINTENANCE = _probe("maintenance", "1 within a maintenance window of the check, else 0.")
STATE_SINCE = _probe(
    "state_since_timestamp_seconds",
    "Unix time at which the first run with the current verdict began; kept across reloads, but not across restarts.",
)
FAILURE_INFO = _probe("failure_info", "1 with the reason of the failure; absent unless the check failed.", "reason")
EXPECTATION_OK = _probe(
    "expectation_ok", "1 when the expectation was met; 0 when it was not or could not be judged.",
    "expectation", "severity",
)  # fmt: skip
EXPECTATION_VALUE = _probe(
    "expectation_value", "The number the expectation was judged by; NaN when none was observed.", "expectation"
)

UNIVERSAL = (
    SUCCESS, DURATION, TIMEOUT, STATUS, ATTEMPTS, RESULT_AGE, MAINTENANCE, STATE_SINCE, FAILURE_INFO,
    EXPECTATION_OK, EXPECTATION_VALUE,
)  # fmt: skip
"""The families of every check, whatever its type."""

_DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

CHECK_INFO = Family(
    name="nyxmon_check_info", help="1 with the labels the configuration gives the check.", about_checks=True
)
CHECK_DURATION = Family(
    name="nyxmon_check_duration_seconds", kind=Kind.HISTOGRAM, about_checks=True, buckets=_DURATION_BUCKETS,
    help="How long runs of the check took; runs that could not be started are not among them.",
)  # fmt: skip
PHASE_DURATION = Family(
    name="nyxmon_check_phase_duration_seconds", kind=Kind.HISTOGRAM, about_checks=True, buckets=_DURATION_BUCKETS,
    labels=("phase",), help="How long the phases of runs took; only for checks with `phase_histograms`.",
)  # fmt: skip
CHECK_RUNS = Family(
    name="nyxmon_check_runs_total", kind=Kind.COUNTER, about_checks=True,
    help="Results of the check since the exporter started; one that is shown again is counted once.",
)  # fmt: skip
CHECK_FAILURES = Family(
    name="nyxmon_check_failures_total", kind=Kind.COUNTER, about_checks=True, labels=("reason",),
    help="Failed results of the check by reason. The reason timeout and those of the check's expectations start at 0,"
    " with the first success also those of the phases that it passed; others appear with their first failure.",
)  # fmt: skip
CHECK_STUCK = Family(
    name="nyxmon_check_stuck", about_checks=True,
    help="1 when a run of the check ignores its cancellation and still blocks further runs, else 0.",
)  # fmt: skip

CHECKS = (CHECK_INFO, CHECK_DURATION, PHASE_DURATION, CHECK_RUNS, CHECK_FAILURES, CHECK_STUCK)
"""The exporter's own families about checks over time."""

BATCH_CHECKS = Family(name="nyxmon_batch_checks", help="Checks that were run for this scrape.")
BATCH_DEADLINE_EXCEEDED = Family(
    name="nyxmon_batch_deadline_exceeded", help="Checks of this scrape that were cut off by its deadline."
)
BATCH_STREAM_HIGH_WATER = Family(
    name="nyxmon_batch_stream_high_water", help="Most results of this scrape that waited in the stream at once."
)
BATCH_LOOP_LAG = Family(
    name="nyxmon_batch_loop_lag_seconds",
    help="Longest time the event loop was late during this scrape; with run=none, during any of the last minute.",
)
BATCH_DURATION = Family(
    name="nyxmon_batch_duration_seconds", kind=Kind.HISTOGRAM, buckets=_DURATION_BUCKETS,
    help="How long batches of checks took, from the call until everything was closed.",
)  # fmt: skip
BATCH_START_WAIT = Family(
    name="nyxmon_batch_start_wait_seconds", kind=Kind.HISTOGRAM, buckets=_WAIT_BUCKETS,
    help="How long checks were held back, because starting all at once would falsify durations.",
)  # fmt: skip
BATCH_CLEANUP_DURATION = Family(
    name="nyxmon_batch_cleanup_duration_seconds", kind=Kind.HISTOGRAM, buckets=_WAIT_BUCKETS, labels=("resource",),
    help="How long closing a resource of a batch took: the executor of a check type, or http_client.",
)  # fmt: skip
BATCH_HTTP_CLIENTS = Family(
    name="nyxmon_batch_http_clients_created_total", kind=Kind.COUNTER, help="Batches that needed an HTTP client."
)
BATCH_HTTP_REQUESTS = Family(
    name="nyxmon_batch_http_requests_total", kind=Kind.COUNTER, help="HTTP requests sent, also after redirects."
)
BATCH_HTTP_OPENED = Family(
    name="nyxmon_batch_http_connections_opened_total", kind=Kind.COUNTER, help="Connections opened for HTTP requests."
)
BATCH_HTTP_REUSED = Family(
    name="nyxmon_batch_http_connections_reused_total", kind=Kind.COUNTER,
    help="HTTP requests that went over a connection opened earlier.",
)  # fmt: skip
BATCH_EXECUTORS = Family(
    name="nyxmon_batch_executors_instantiated_total", kind=Kind.COUNTER, labels=("check_type",),
    help="Executors created for batches, by check type.",
)  # fmt: skip
BATCH_CLEANUP_ERRORS = Family(
    name="nyxmon_batch_cleanup_errors_total", kind=Kind.COUNTER, labels=("resource",),
    help="Resources of batches whose closing failed or ran out of time.",
)  # fmt: skip
BATCH_JOINED = Family(
    name="nyxmon_batch_joined_scrapes_total", kind=Kind.COUNTER,
    help="Scrapes that were answered from a batch another scrape had started.",
)  # fmt: skip

BATCH = (
    BATCH_CHECKS, BATCH_DEADLINE_EXCEEDED, BATCH_STREAM_HIGH_WATER, BATCH_LOOP_LAG, BATCH_DURATION, BATCH_START_WAIT,
    BATCH_CLEANUP_DURATION, BATCH_HTTP_CLIENTS, BATCH_HTTP_REQUESTS, BATCH_HTTP_OPENED, BATCH_HTTP_REUSED,
    BATCH_JOINED, BATCH_EXECUTORS, BATCH_CLEANUP_ERRORS,
)  # fmt: skip
"""The families about running the checks: gauges about this scrape, histograms and counters since the start."""

BUILD_INFO = Family(
    name="nyxmon_exporter_build_info", labels=("python_version", "version"), help="1 with the versions in use."
)
RELOAD_SUCCESSFUL = Family(
    name="nyxmon_exporter_config_last_reload_successful",
    help="1 when the configuration in force is what the file says; 0 when the file was rejected the last time.",
)
RELOAD_TIMESTAMP = Family(
    name="nyxmon_exporter_config_last_reload_success_timestamp_seconds",
    help="Unix time at which the configuration in force was loaded.",
)
RESOLVER_THREADS = Family(
    name="nyxmon_exporter_resolver_threads",
    help="Threads in which the system resolves a name right now, for checks with `resolver: system`; 32 at"
    " most, and then further names wait. One whose check was given up counts until the system answers.",
)
CHECK_THREADS = Family(
    name="nyxmon_exporter_check_threads",
    help="Threads in which checks of blocking types run right now; 32 at most, and then further checks wait. One whose"
    " check was given up counts until it returns.",
)
LOOPS_REPLACED = Family(
    name="nyxmon_exporter_event_loops_replaced_total", kind=Kind.COUNTER,
    help="Event loops given up because a check type stopped them, or blocked them for half a minute.",
)  # fmt: skip
EXPORTER_CHECKS = Family(name="nyxmon_exporter_checks", help="Checks in the configuration.")

EXPORTER = (
    BUILD_INFO,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    RESOLVER_THREADS,
    CHECK_THREADS,
    LOOPS_REPLACED,
    EXPORTER_CHECKS,
)
"""The families about the program itself."""

OWN_NAMES = frozenset(name for family in (*UNIVERSAL, *CHECKS, *BATCH, *EXPORTER) for name in family.sample_names)
"""The sample names that no check type may use."""


class MetricFamilies:
    """All families for a set of check types; immutable, shared by threads.

    Attributes:
        families: All of them, in page order.
        of_types: The families that check types declare.
        by_spec: The family of each metric that a check type declares.
        type_names: The check types.
        mask: Masks secrets in label values that were measured.
    """

    def __init__(self, check_types: Mapping[str, CheckType], mask: Mask = unmasked) -> None:
        """Build the catalogue.

        Two types may declare metrics of the same name; the help text of the first is shown.

        Args:
            check_types: The check types by name.
            mask: Masks secrets in label values that were measured.

        Raises:
            ValueError: When a type declares a metric that Prometheus would reject or that is one of the exporter's.
        """
        by_name: dict[str, Family] = {}
        self.by_spec: dict[MetricSpec, Family] = {}
        self.type_names = frozenset(check_types)
        self.mask = mask
        self._specs_of_type = {name: check_type.metrics for name, check_type in check_types.items()}
        for check_type in check_types.values():
            for spec in check_type.metrics:
                problem = problem_of_metric(spec, OWN_NAMES)
                if problem:
                    raise ValueError(f"check type {check_type.name}: metric {name_of(spec)} {problem}")
                self.by_spec[spec] = by_name.setdefault(
                    spec.name, Family(name=spec.name, help=spec.help, labels=spec.labels, about_checks=True)
                )
        self.of_types = tuple(by_name.values())
        self.families = (*UNIVERSAL, *self.of_types, *CHECKS, *BATCH, *EXPORTER)

    def specs_of(self, check_type: str) -> tuple[MetricSpec, ...]:
        """Return the metrics that a type declares; none for a type registered by executor alone."""
        return self._specs_of_type.get(check_type, ())
