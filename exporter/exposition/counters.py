"""Histograms and counters kept for the life of the process, per check and for batches.

Gauges are created anew for every page. Counters and histograms must not be, because to `rate()` a histogram that
starts over with each scrape looks like a restarted exporter.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from threading import Lock, RLock
from time import monotonic, time
from types import MappingProxyType
from typing import TYPE_CHECKING

from exporter.exposition import families as catalogue
from exporter.exposition.declarations import MAX_PHASES, PHASE_LABELS, PHASE_SUFFIX
from exporter.exposition.histograms import Histogram, NativeHistogram
from exporter.exposition.labels import clean_value
from exporter.model import Batch, Reason, ResultStatus, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import Check, Measurement, Result

_REASONS_OF_PHASES: Mapping[str, tuple[Reason, ...]] = {
    "resolve": (Reason.RESOLVE,),
    "connect": (Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT, Reason.CONNECTION_RESET, Reason.UNREACHABLE),
    "tls": (Reason.TLS, Reason.CERTIFICATE),
    "starttls": (Reason.STARTTLS, Reason.TLS, Reason.CERTIFICATE),
    "auth": (Reason.AUTH,),
}
"""The reason of a failure in each phase that all check types have; shown at 0 once a run has passed the phase."""

_NO_PHASES: Mapping[str, Histogram] = MappingProxyType({})

_SLOT_SECONDS = 5.0
_SLOTS = 12
"""A minute: longer than the usual scrape interval, and short enough to show only recent lag."""


class RecentPeak:
    """The highest value of the last minute; guarded by the lock of the counters."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: dict[int, float] = {}

    def see(self, value: float, now: float) -> None:
        """Record a value; `now` is the value of `monotonic()`."""
        slot = int(now // _SLOT_SECONDS)
        self._slots = {each: peak for each, peak in self._slots.items() if each > slot - _SLOTS}
        self._slots[slot] = max(value, self._slots.get(slot, value))

    def at(self, now: float) -> float:
        """Return the highest value; 0 when there was none."""
        slot = int(now // _SLOT_SECONDS)
        return max((peak for each, peak in self._slots.items() if each > slot - _SLOTS), default=0.0)


class CheckCounters:
    """The counters of one check; lives as long as the check is configured, guarded by the lock of the counters.

    Attributes:
        runs: Number of results.
        failures: Number of failed results by reason; a reason that was shown once is always shown. `likely_reasons`
            start at 0, and with the first success those of the phases that the run has passed: then `increase()` sees
            their first failure too. All 22 reasons would add half to the page of a check, for series that never change.
            Replaced and never changed, because checks without failures share it.
        duration: Durations of the runs that were started.
        phases: Durations by phase; empty unless the check has `phase_histograms`.
        created_timestamp_seconds: Unix time since which all of this is counted.
    """

    __slots__ = (
        "_has_succeeded", "_histogram_class", "_phase_histograms", "created_timestamp_seconds", "duration", "failures",
        "phases", "runs",
    )  # fmt: skip

    def __init__(self, check: Check, histogram_class: type[Histogram], created_timestamp_seconds: float) -> None:
        self.runs = 0
        self._has_succeeded = False
        self.failures: Mapping[Reason, int] = {}
        self.duration = histogram_class(catalogue.CHECK_DURATION.buckets)
        self.phases: Mapping[str, Histogram] = _NO_PHASES
        self.created_timestamp_seconds = created_timestamp_seconds
        self._histogram_class = histogram_class
        self.configure(check)

    def configure(self, check: Check) -> None:
        """Apply the current configuration of the check; the counts are kept."""
        self._phase_histograms = check.phase_histograms
        self._show(likely_reasons(check))

    def count(self, result: Result) -> None:
        """Count one result."""
        self.runs += 1
        if result.status is ResultStatus.ERROR:
            reason = result.reason or Reason.INTERNAL
            self.failures = {**self.failures, reason: self.failures.get(reason, 0) + 1}
        elif not self._has_succeeded:
            self._has_succeeded = True
            passed = [phase for phase, seconds in _phases(result.measurements).items() if seconds > 0]
            self._show(chain.from_iterable(_REASONS_OF_PHASES.get(phase, ()) for phase in passed))
        if not result.attempts:
            return
        self.duration.observe(result.duration_seconds)
        if self._phase_histograms:
            for phase, seconds in _phases(result.measurements).items():
                histogram = self.phases.get(phase)
                if histogram is None and len(self.phases) < MAX_PHASES:
                    histogram = self._histogram_class(catalogue.PHASE_DURATION.buckets)
                    self.phases = {**self.phases, phase: histogram}
                if histogram is not None:
                    histogram.observe(seconds)

    def _show(self, reasons: Iterable[Reason]) -> None:
        """Show the counters of these reasons from now on, starting at 0."""
        zeros = _zeros(tuple(dict.fromkeys((*self.failures, *reasons))))
        self.failures = {**zeros, **self.failures} if any(self.failures.values()) else zeros


@lru_cache(maxsize=1000)
def _zeros(reasons: tuple[Reason, ...]) -> Mapping[Reason, int]:
    """Return counters at 0; the same object for the same reasons in the same order."""
    return MappingProxyType(dict.fromkeys(reasons, 0))


def likely_reasons(check: Check) -> Iterable[Reason]:
    """Return the reasons whose counters start at 0 before the first run: `timeout` and those of the expectations."""
    demanded = (each.subject.reason for each in check.expectations if each.severity is Severity.ERROR)
    return dict.fromkeys((Reason.TIMEOUT, *demanded))


def _phases(measurements: Iterable[Measurement]) -> dict[str, float]:
    """Return the phase durations among the measurements; the last value of a phase counts, invalid ones are skipped."""
    return {
        clean_value(labels[0]): float(value)
        for spec, value, labels in measurements
        if spec.labels == PHASE_LABELS
        and spec.name.endswith(PHASE_SUFFIX)
        and len(labels) == 1
        and isinstance(value, int | float)
    }


class BatchCounters:
    """The counters of batches; lives for the process, guarded by the lock of the counters.

    Attributes:
        counters: Counters without labels.
        executors: Executors created, by check type.
        cleanup_errors: Closings that failed, by resource.
        duration: Durations of batches.
        start_wait: How long checks were held back.
        cleanup: Durations of closings, by resource.
        loop_lag: How late the event loop was in recent batches.
        stuck_checks: Names of the checks that were stuck when the latest batch ended.
        created_timestamp_seconds: Unix time since which all of this is counted.
    """

    def __init__(self, histogram_class: type[Histogram]) -> None:
        self.counters = dict.fromkeys(
            (
                catalogue.BATCH_HTTP_CLIENTS,
                catalogue.BATCH_HTTP_REQUESTS,
                catalogue.BATCH_HTTP_OPENED,
                catalogue.BATCH_HTTP_REUSED,
                catalogue.BATCH_JOINED,
            ),
            0,
        )
        self.executors: dict[str, int] = {}
        self.cleanup_errors: dict[str, int] = {}
        self.duration = histogram_class(catalogue.BATCH_DURATION.buckets)
        self.start_wait = histogram_class(catalogue.BATCH_START_WAIT.buckets)
        self.cleanup: dict[str, Histogram] = {}
        self.loop_lag = RecentPeak()
        self.stuck_checks: tuple[str, ...] = ()
        self.created_timestamp_seconds = time()
        self._histogram_class = histogram_class

    def standing(self) -> Batch:
        """Return a substitute for the batch of a scrape that runs no checks."""
        return Batch(
            checks=0,
            duration_seconds=0.0,
            budget_seconds=None,
            stuck_checks=self.stuck_checks,
            loop_lag_seconds=self.loop_lag.at(monotonic()),
        )

    def count(self, batch: Batch) -> None:
        """Count one batch."""
        self.loop_lag.see(batch.loop_lag_seconds, monotonic())
        self.stuck_checks = batch.stuck_checks
        self.counters[catalogue.BATCH_HTTP_CLIENTS] += batch.http_client_created
        self.counters[catalogue.BATCH_HTTP_REQUESTS] += batch.http_requests
        self.counters[catalogue.BATCH_HTTP_OPENED] += batch.http_connections_opened
        self.counters[catalogue.BATCH_HTTP_REUSED] += batch.http_connections_reused
        self.duration.observe(batch.duration_seconds)
        for seconds in batch.start_wait_seconds:
            self.start_wait.observe(seconds)
        for check_type, number in batch.executors_instantiated.items():
            self.executors[check_type] = self.executors.get(check_type, 0) + number
        for resource, seconds in batch.cleanup_seconds.items():
            self.cleanup_errors.setdefault(resource, 0)
            histogram = self.cleanup.get(resource)
            if histogram is None:
                histogram = self.cleanup[resource] = self._histogram_class(catalogue.BATCH_CLEANUP_DURATION.buckets)
            histogram.observe(seconds)
        for resource, number in batch.cleanup_errors.items():
            self.cleanup_errors[resource] = self.cleanup_errors.get(resource, 0) + number


class Counters:
    """All counters; lives for the process, shared by threads.

    Attributes:
        lock: Held while counting and while a page is read, so that no page shows a partly counted result.
        native_histograms: Whether histograms have exponential buckets as well.
        batches: The counters of batches.
    """

    def __init__(self, *, native_histograms: bool = False) -> None:
        """Start at zero.

        Args:
            native_histograms: Whether histograms have exponential buckets as well; only pages in protobuf show them.
        """
        self.lock = RLock()
        self.native_histograms = native_histograms
        self._joining = Lock()
        self._histogram_class = NativeHistogram if native_histograms else Histogram
        self.batches = BatchCounters(self._histogram_class)
        self._of_checks: dict[tuple[str, str, str], CheckCounters] = {}
        self._is_configured = False

    def of_checks(self, checks: Iterable[Check]) -> tuple[CheckCounters, ...]:
        """Return the counters of each check; those of a new check start at zero.

        After `retain`, the counters of a check that is not configured are not kept: a scrape of an earlier
        configuration has asked for them.
        """
        with self.lock:
            now = time()
            return tuple(self._of_check(check, now) for check in checks)

    def retain(self, checks: Iterable[Check]) -> None:
        """Keep the counters of these checks, which are all that are configured now, and drop all others."""
        with self.lock:
            kept: dict[tuple[str, str, str], CheckCounters] = {}
            now = time()
            for check in checks:
                identity = check.identity
                counters = kept[identity] = self._of_checks.get(identity) or self._new(check, now)
                counters.configure(check)
            self._of_checks = kept
            self._is_configured = True

    def count(self, counters_and_results: Iterable[tuple[CheckCounters, Result]], batch: Batch | None) -> None:
        """Count the results of a batch, and the batch itself, in one step."""
        with self.lock:
            for counters, result in counters_and_results:
                counters.count(result)
            if batch is not None:
                self.batches.count(batch)

    def count_joined_scrape(self) -> None:
        """Count a scrape that was answered from the batch of another."""
        with self._joining:  # not `lock`, which is held for long when there are many checks
            self.batches.counters[catalogue.BATCH_JOINED] += 1

    def _new(self, check: Check, now: float) -> CheckCounters:
        return CheckCounters(check, self._histogram_class, now)

    def _of_check(self, check: Check, now: float) -> CheckCounters:
        identity = check.identity
        counters = self._of_checks.get(identity)
        if counters is None:
            counters = self._new(check, now)
            if not self._is_configured:
                self._of_checks[identity] = counters
        return counters
