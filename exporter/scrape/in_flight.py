"""Lets scrapes share batches: a scrape of checks that are already running waits for that batch.

Any number of scrapes can board a batch. It takes off once, when a thread is free for it, and ends early when every
scrape has left it.
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


class InFlightBatch:
    """A batch that scrapes wait for; created by `InFlightBatches.board`.

    Attributes:
        took_off: Done when the batch has begun.
        outcome: Its outcome; an exception when the runner failed.
        given_up: Done when no scrape waits for it any more.
    """

    def __init__(self) -> None:
        self.took_off: Future[None] = Future()
        self.outcome: Future[Outcome] = Future()
        self.given_up: Future[None] = Future()
        self._deadlines: dict[Ticket, float] = {}
        self._budget_seconds = 0.0
        self._deadline = 0.0

    def board(self, ticket: Ticket, deadline: float, budget_seconds: float) -> None:
        """Let a scrape wait for the batch; the scrapes that board before it begins determine its deadline."""
        if not self._deadlines or (not self.took_off.done() and deadline < self._deadline):
            self._deadline, self._budget_seconds = deadline, budget_seconds
        self._deadlines[ticket] = deadline

    def leave(self, ticket: Ticket) -> bool:
        """Remove a scrape; return whether it was the last one and the batch has to be given up."""
        if self._deadlines.pop(ticket, None) is None or self.outcome.done():
            return False
        if not self.took_off.done() and self._deadlines:
            self._deadline = min(self._deadlines.values())
        return not self._deadlines

    def suits(self, deadline: float, needed_seconds: float) -> bool:
        """Return whether a scrape may wait for the batch: it ends in time and has enough time itself."""
        if self.outcome.done() or self.given_up.done() or self._deadline > deadline:
            return False
        return self._budget_seconds >= _LEAST_SHARE * needed_seconds

    def take_off(self) -> float:
        """Mark the batch as begun and return the seconds left."""
        self.took_off.set_result(None)
        return self._deadline - monotonic()


class Ticket:
    """The place of one scrape in a batch.

    Attributes:
        in_flight: The batch.
        is_first: Whether its holder has to start the batch.
    """

    __slots__ = ("in_flight", "is_first")

    def __init__(self, in_flight: InFlightBatch, *, is_first: bool) -> None:
        self.in_flight = in_flight
        self.is_first = is_first


class InFlightBatches:
    """The batches of one selection of checks; scrapes can join the newest. Shared by threads."""

    def __init__(self, longest_run_seconds: float) -> None:
        """Start without a batch.

        Args:
            longest_run_seconds: How long the slowest of the checks can take.
        """
        self._longest_run_seconds = longest_run_seconds
        self._newest: InFlightBatch | None = None
        self._lock = Lock()

    def board(self, budget_seconds: float) -> Ticket:
        """Join a suitable batch or create one; the caller must `leave` it.

        Args:
            budget_seconds: Time until the batch must have ended.
        """
        deadline = monotonic() + budget_seconds
        needed_seconds = min(budget_seconds, self._longest_run_seconds)
        with self._lock:
            in_flight = self._newest
            is_first = in_flight is None or not in_flight.suits(deadline, needed_seconds)
            if in_flight is None or is_first:
                in_flight = self._newest = InFlightBatch()
            ticket = Ticket(in_flight, is_first=is_first)
            in_flight.board(ticket, deadline, budget_seconds)
        return ticket

    def take_off(self, in_flight: InFlightBatch) -> float | None:
        """Begin a batch and return the seconds left; None when every scrape has left it."""
        with self._lock:
            return None if in_flight.given_up.done() else in_flight.take_off()

    def leave(self, ticket: Ticket) -> None:
        """Remove a scrape from its batch; a batch that no scrape waits for is cancelled."""
        in_flight = ticket.in_flight
        with self._lock:
            is_over = in_flight.leave(ticket)
            if self._newest is in_flight and (is_over or in_flight.outcome.done()):
                self._newest = None
        if is_over:
            in_flight.given_up.set_result(None)
