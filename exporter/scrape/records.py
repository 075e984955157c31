"""Records that outlive a scrape: counters, states, history, and the last results of checks with a minimum interval."""

from __future__ import annotations

from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition.counters import Counters
from exporter.model import Reason, ResultStatus
from exporter.scrape.history import History
from exporter.scrape.states import StateLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.exposition.counters import CheckCounters
    from exporter.model import Batch, Check, Result
    from exporter.scrape.states import CheckStates
    from exporter.scrape.status_changes import StatusChanges


_JITTER_SECONDS = 0.1

_JITTER_SHARE = 0.05
"""How much earlier than its minimum interval a check may run again: scrapes are not exact to the millisecond, and a
check whose interval equals the scrape interval must not skip every other scrape."""

_LONGEST_FAILURE_SECONDS = 600.0
"""Time limit for reusing a failure, so that a moment without an answer is not shown for half a day. A result from an
answer of the target is reused for the whole minimum interval, even if it missed an expectation."""


class LastResult(NamedTuple):
    """The last result of a check that has a minimum interval.

    Attributes:
        check: The check as configured at that time.
        result: The result.
        started: `monotonic()` when its batch began.
        received: `monotonic()` when its batch had ended.
    """

    check: Check
    result: Result
    started: float
    received: float

    @property
    def lifetime_seconds(self) -> float:
        """How long it is returned instead of running the check again."""
        interval = self.check.min_interval_seconds
        if self.result.status is ResultStatus.ERROR and self.result.reason is not Reason.EXPECTATION:
            interval = min(interval, _LONGEST_FAILURE_SECONDS)
        return interval - min(_JITTER_SECONDS, _JITTER_SHARE * interval)


class Records:
    """Everything recorded about checks and batches; lives for the process, shared by threads.

    A batch is recorded as a whole before or after a reload: results of checks that the configuration in force does not
    contain are dropped.

    Attributes:
        history: Recent runs, for the HTML pages.
        counters: The counters.
        states: The state of each check, and its last changes.
    """

    def __init__(
        self,
        history: History | None = None,
        changes: StatusChanges | None = None,
        *,
        native_histograms: bool = False,
    ) -> None:
        """Start without records.

        Args:
            history: Where recent runs are recorded; a new history by default.
            changes: Logs changes of status; None logs nothing.
            native_histograms: Whether histograms have exponential buckets as well.
        """
        self.history = history if history is not None else History()
        self.counters = Counters(native_histograms=native_histograms)
        self.states = StateLog()
        self._changes = changes
        self._last: dict[str, LastResult] = {}
        self._configured: Mapping[str, Check] | None = None
        self._lock = Lock()

    def retain(self, checks: Iterable[Check]) -> None:
        """Apply a new configuration: forget the records of checks that it does not contain."""
        by_name = {check.name: check for check in checks}
        with self._lock:
            self._configured = by_name
            self.counters.retain(by_name.values())
            self.states.retain(by_name.values())
            self.history.retain(by_name.values())
            if self._changes is not None:
                self._changes.retain(by_name.values())
            self._last = {name: last for name, last in self._last.items() if by_name.get(name) == last.check}

    def reusable(self, check: Check) -> LastResult | None:
        """Return the last result of a check whose minimum interval has not passed yet; None when it must run."""
        last = self._last.get(check.name) if check.min_interval_seconds > 0 else None
        if last is None or (last.check is not check and last.check != check):
            return None
        return last if monotonic() - last.started < last.lifetime_seconds else None

    def record(
        self,
        finished: Sequence[tuple[Check, CheckCounters, CheckStates, Result]],
        batch: Batch | None,
        *,
        started: float,
    ) -> None:
        """Record the results of a batch; each result must be recorded once.

        Args:
            finished: The checks that have run, with their counters, states and results.
            batch: The report on the batch; None when the runner failed.
            started: `monotonic()` when the batch began.
        """
        received = monotonic()
        began_timestamp_seconds = time() - (received - started)
        with self._lock:
            self.counters.count(((counters, result) for _, counters, _, result in finished), batch)
            for check, _, states, result in finished:
                ended = self.states.see(states, result, began_timestamp_seconds)
                configured = check if self._configured is None else self._configured.get(check.name)
                if configured is None or configured.identity != check.identity:
                    continue  # a reload removed it while it ran
                self.history.record(check, result)
                if self._changes is not None and (ended or result.status is not ResultStatus.OK):
                    self._changes.see(check, result, ended)
                if check.min_interval_seconds > 0 and result.attempts and configured == check:
                    self._last[check.name] = LastResult(check, result, started, received)
