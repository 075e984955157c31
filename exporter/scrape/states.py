"""The state log: the state of each check, when it began, and its last changes.

It is kept apart from the runs, because a check that runs every few seconds soon replaces the run in which it began to
fail.
"""

from __future__ import annotations

import math
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import Reason, ResultStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.model import Check, Result

_MAX_DETAIL_CHARACTERS = 200

_CHANGE = Struct("<d3BH")
"""Time, previous verdict, verdict, reason and the length of the detail."""

_STATUSES = (None, *ResultStatus)
_REASONS = (None, *Reason)
_STATUS_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}
_REASON_NUMBERS = {reason: number for number, reason in enumerate(_REASONS)}


class StateChange(NamedTuple):
    """A change of a check's state; the newest one is the current state and when it began.

    Attributes:
        timestamp_seconds: Unix time when the first run in the new state began, to the millisecond.
        previous: The verdict before; None when the check had not run.
        status: The verdict since then; `status.state` is the state in words.
        reason: Why that run was not ok; None when it was.
        detail: One sentence about the failure, cut to a bounded length; empty when the memory did not suffice for it.
    """

    timestamp_seconds: float
    previous: ResultStatus | None
    status: ResultStatus
    reason: Reason | None
    detail: str


class EndedState(NamedTuple):
    """A state that a check has just left: the verdict, and how many seconds it lasted."""

    status: ResultStatus
    duration_seconds: float


class CheckStates:
    """The states of one check; lives as long as the check is configured, guarded by the lock of the log.

    The changes are stored as consecutive bytes, newest first: as objects they would take ten times the memory.

    Attributes:
        status: The verdict of the last run; None before the first.
        since_timestamp_seconds: Unix time when the first run with this verdict began; NaN before the first run.
    """

    __slots__ = ("_changes", "_details", "since_timestamp_seconds", "status")

    def __init__(self) -> None:
        self.status: ResultStatus | None = None
        self.since_timestamp_seconds = math.nan
        self._changes = b""
        self._details = b""

    def begin(self, change: StateChange, *, max_changes: int, max_detail_bytes: int) -> None:
        """Enter a new state, forgetting the oldest change and the oldest details if there are too many."""
        self.status, self.since_timestamp_seconds = change.status, change.timestamp_seconds
        detail = change.detail.encode("utf-8", "replace")
        numbers = _STATUS_NUMBERS[change.previous], _STATUS_NUMBERS[change.status], _REASON_NUMBERS[change.reason]
        packed = _CHANGE.pack(change.timestamp_seconds, *numbers, len(detail))
        self._changes = (packed + self._changes)[: max_changes * _CHANGE.size]
        self._details = (detail + self._details)[:max_detail_bytes]

    def changes(self) -> Iterator[StateChange]:
        """Yield the changes that are kept, newest first."""
        begin = 0
        for timestamp_seconds, previous, status, reason, length in _CHANGE.iter_unpack(self._changes):
            detail = self._details[begin : begin + length]
            begin += length
            shown = detail.decode() if len(detail) == length else ""
            verdict = _STATUSES[status] or ResultStatus.ERROR
            yield StateChange(timestamp_seconds, _STATUSES[previous], verdict, _REASONS[reason], shown)


class StateLog:
    """The states of all checks; lives for the process, shared by threads.

    The state of a check is the verdict of its last run: ok, degraded or failing. It begins with the run that found it
    first, and lasts until a run has another verdict:

    - Of a run with retries, the last attempt decides, and the state begins with the first.
    - A run that the deadline of its scrape cut off, or a stuck check that could not run, is a failed one, as its
      metrics say. The state of a check that was not started begins with its batch.
    - A failure for another reason than before continues the state, and so does a maintenance window: the target does
      not change when it begins or ends.
    - A result that is reused within the minimum interval does not count as a run, and neither does a run that was
      abandoned because the client disconnected.
    - A reload keeps the states of checks whose name, type and target remain; a restart keeps none.
    """

    def __init__(self, changes_per_check: int = 100, max_bytes: int = 24 * 1024 * 1024) -> None:
        """Create an empty log.

        Args:
            changes_per_check: Most changes kept for one check.
            max_bytes: Memory for the changes of all checks together, divided evenly among them. It bounds the details:
                with the default, those of a hundred changes of a thousand checks fit, and the newest six to twenty of
                ten thousand. The changes themselves take 13 bytes each and are always kept.
        """
        self._max_changes = changes_per_check
        self._max_bytes = max_bytes
        self._by_identity: dict[tuple[str, str, str], CheckStates] = {}
        self._by_name: dict[str, CheckStates] = {}
        self._is_configured = False
        self._lock = Lock()

    def of_checks(self, checks: Iterable[Check]) -> tuple[CheckStates, ...]:
        """Return the states of each check, in order, for `see`.

        After `retain`, those of a check that is not configured are not kept: a scrape of an earlier configuration has
        asked for them.
        """
        with self._lock:
            return tuple(self._of_check(check) for check in checks)

    def _of_check(self, check: Check) -> CheckStates:
        states = self._by_identity.get(check.identity)
        if states is None:
            states = CheckStates()
            if not self._is_configured:
                self._by_identity[check.identity] = self._by_name[check.name] = states
        return states

    def retain(self, checks: Iterable[Check]) -> None:
        """Keep the states of these checks, which are all that are configured now, and drop all others."""
        with self._lock:
            identities = [check.identity for check in checks]
            self._by_identity = {identity: self._by_identity.get(identity) or CheckStates() for identity in identities}
            self._by_name = {name: states for (name, _, _), states in self._by_identity.items()}
            self._is_configured = True

    def see(self, states: CheckStates, result: Result, began_timestamp_seconds: float) -> EndedState | None:
        """Record a run; return the state that it ended, if any.

        A run that changes nothing costs one comparison, because every result of every scrape passes through here.

        Args:
            states: The states of the check.
            result: The result of the run.
            began_timestamp_seconds: Unix time when the batch of the run began, for a run that was not started.
        """
        previous = states.status
        if previous is result.status:
            return None
        before = states.since_timestamp_seconds
        began = round(result.started_timestamp_seconds or began_timestamp_seconds, 3)
        detail = result.detail[:_MAX_DETAIL_CHARACTERS]
        change = StateChange(began, previous, result.status, result.reason, detail)
        with self._lock:
            share = self._max_bytes // max(1, len(self._by_identity)) - self._max_changes * _CHANGE.size
            most = max(0, min(share, self._max_changes * _MAX_DETAIL_CHARACTERS))
            states.begin(change, max_changes=self._max_changes, max_detail_bytes=most)
        return None if previous is None else EndedState(previous, max(0.0, began - before))

    def latest(self, name: str) -> StateChange | None:
        """Return the newest change of a check, which is its current state; None if it has not run."""
        with self._lock:
            states = self._by_name.get(name)
            return None if states is None else next(states.changes(), None)

    def count_changes(self, name: str, since_timestamp_seconds: float) -> int:
        """Return how often the state of a check has changed since a Unix time; its first run does not count."""
        known = [change for change in self.changes(name) if change.previous is not None]
        return sum(change.timestamp_seconds >= since_timestamp_seconds for change in known)

    def changes(self, name: str) -> tuple[StateChange, ...]:
        """Return the changes of a check that are kept, newest first; the oldest may be its first run."""
        with self._lock:
            states = self._by_name.get(name)
            return () if states is None else tuple(states.changes())
