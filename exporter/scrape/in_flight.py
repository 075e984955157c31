"""Lets scrapes share batches: a scrape of checks that are already running waits for that batch.

Any number of scrapes can join a batch. It starts once, when a thread is free for it, and ends early when every scrape
has left it. A batch that still waits for a thread when another one of the same checks finishes is not run: its scrapes
get the outcome of the other, which is as new as if they had joined that.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.exposition.probe_metrics import Outcome

_LEAST_SHARE = 0.75
"""A scrape joins a batch only if it has at least this share of the time that the scrape's own batch would have; with
less, checks would be cut off because another scrape has less time."""

_LONGEST_WAIT_SHARE = 0.25
"""A scrape waits at least this share of its time for its batch to start, however long the checks take."""


class InFlightBatch:
    """A batch that scrapes wait for; created by `InFlightBatches.join`.

    Attributes:
        started: Completes when the batch starts.
        outcome: Completes with the outcome, or with the exception of the runner.
        given_up: Completes when no scrape waits for the batch any more.
    """

    def __init__(self) -> None:
        self.started: Future[None] = Future()
        self.outcome: Future[Outcome] = Future()
        self.given_up: Future[None] = Future()
        self._deadlines: dict[Ticket, float] = {}
        self._budget_seconds = 0.0
        self._needed_seconds = 0.0
        self._deadline = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it has an outcome, or nobody waits for one."""
        return self.outcome.done() or self.given_up.done()

    def join(self, ticket: Ticket, deadline: float, budget_seconds: float, needed_seconds: float) -> None:
        """Let a scrape wait for the batch; the scrapes that join before it starts determine its deadline."""
        self._needed_seconds = max(self._needed_seconds, needed_seconds)
        if not self._deadlines or (not self.started.done() and deadline < self._deadline):
            self._deadline, self._budget_seconds = deadline, budget_seconds
        self._deadlines[ticket] = deadline

    def leave(self, ticket: Ticket) -> bool:
        """Remove a scrape; return whether it was the last one, so that the batch must be given up."""
        if self._deadlines.pop(ticket, None) is None or self.outcome.done():
            return False
        if not self.started.done() and self._deadlines:
            self._deadline = min(self._deadlines.values())
        return not self._deadlines

    def suits(self, deadline: float, needed_seconds: float) -> bool:
        """Return whether a scrape may join: the batch ends before the scrape's deadline and has enough time itself."""
        return not self.is_over and self._deadline <= deadline and self._has_time(needed_seconds)

    def finish(self, outcome: Outcome) -> None:
        """Set the outcome for the waiting scrapes, whether this batch or another one ran."""
        if not self.started.done():
            self.started.set_result(None)
        self.outcome.set_result(outcome)

    def can_use_outcome_of(self, finished: InFlightBatch) -> bool:
        """Return whether the batch has not started and can take the outcome of another one of the same checks."""
        return not self.is_over and not self.started.done() and finished._has_time(self._needed_seconds)

    def _has_time(self, needed_seconds: float) -> bool:
        return self._budget_seconds >= _LEAST_SHARE * needed_seconds

    def start(self) -> float:
        """Mark the batch as started and return the seconds left."""
        self.started.set_result(None)
        return self._deadline - monotonic()


class Ticket:
    """The place of one scrape in a batch.

    Attributes:
        in_flight: The batch.
        is_first: Whether its holder has to start the batch.
        longest_wait_seconds: How long to wait for its start; after that, checks could be cut off.
    """

    __slots__ = ("in_flight", "is_first", "longest_wait_seconds")

    def __init__(self, in_flight: InFlightBatch, longest_wait_seconds: float, *, is_first: bool) -> None:
        self.in_flight = in_flight
        self.is_first = is_first
        self.longest_wait_seconds = longest_wait_seconds


class InFlightBatches:
    """The batches of one selection of checks. Shared by threads."""

    def __init__(self, longest_run_seconds: float) -> None:
        """Start without a batch.

        Args:
            longest_run_seconds: How long the slowest of the checks can take.
        """
        self._longest_run_seconds = longest_run_seconds
        self._open: list[InFlightBatch] = []
        self._lock = Lock()

    def join(self, budget_seconds: float) -> Ticket:
        """Join a suitable batch or create one; the caller must `leave` it.

        Args:
            budget_seconds: Time until the batch must have ended.
        """
        deadline = monotonic() + budget_seconds
        needed_seconds = min(budget_seconds, self._longest_run_seconds)
        longest_wait_seconds = max(budget_seconds - needed_seconds, _LONGEST_WAIT_SHARE * budget_seconds)
        with self._lock:
            joined = next((each for each in self._open if each.suits(deadline, needed_seconds)), None)
            in_flight = joined or InFlightBatch()
            if joined is None:
                self._open.append(in_flight)
            ticket = Ticket(in_flight, longest_wait_seconds, is_first=joined is None)
            in_flight.join(ticket, deadline, budget_seconds, needed_seconds)
        return ticket

    def start(self, in_flight: InFlightBatch) -> float | None:
        """Start a batch and return the seconds left; None when it is already over."""
        with self._lock:
            return None if in_flight.is_over else in_flight.start()

    def finish(self, in_flight: InFlightBatch, outcome: Outcome) -> None:
        """Finish a batch, and with it the batches that wait to run the same checks."""
        with self._lock:
            in_flight.finish(outcome)
            for each in self._open:
                if each.can_use_outcome_of(in_flight):
                    each.finish(outcome)
            self._forget()

    def leave(self, ticket: Ticket) -> None:
        """Remove a scrape from its batch; a batch that no scrape waits for is cancelled."""
        in_flight = ticket.in_flight
        with self._lock:
            was_last = in_flight.leave(ticket)
            if was_last:
                self._open.remove(in_flight)
            self._forget()
        if was_last:
            in_flight.given_up.set_result(None)

    def _forget(self) -> None:
        self._open = [each for each in self._open if not each.is_over]
