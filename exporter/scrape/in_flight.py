"""Batches that scrapes share: whoever asks for checks that are being run already waits for that batch.

A flight is boarded by any number of scrapes and taken off once, by whoever has a thread for it. It ends early when
everybody has left it.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.exposition.probe_metrics import Outcome

_LEAST_SHARE = 0.75
"""A scrape joins a batch that has at least so much of the time that its own would have; in one with less, checks would
be cut off for the sake of somebody else's hurry."""


class InFlightBatch:
    """A batch that scrapes wait for; made by `InFlightBatches.board`.

    Attributes:
        took_off: Done when it has begun.
        outcome: What came of it; an exception when the runner failed.
        given_up: Done when nobody waits for it any more.
    """

    def __init__(self) -> None:
        self.took_off: Future[None] = Future()
        self.outcome: Future[Outcome] = Future()
        self.given_up: Future[None] = Future()
        self._deadlines: dict[Ticket, float] = {}
        self._budget_seconds = 0.0
        self._deadline = 0.0

    def board(self, ticket: Ticket, deadline: float, budget_seconds: float) -> None:
        """Let a scrape wait for the flight; those that came before it has begun decide together when it must end."""
        if not self._deadlines or (not self.took_off.done() and deadline < self._deadline):
            self._deadline, self._budget_seconds = deadline, budget_seconds
        self._deadlines[ticket] = deadline

    def leave(self, ticket: Ticket) -> bool:
        """Let a scrape go; return whether it was the last one and there is something to give up."""
        if self._deadlines.pop(ticket, None) is None or self.outcome.done():
            return False
        if not self.took_off.done() and self._deadlines:
            self._deadline = min(self._deadlines.values())
        return not self._deadlines

    def suits(self, deadline: float, needed_seconds: float) -> bool:
        """Return whether a scrape may wait for it: it ends in time, and is not in too much of a hurry."""
        if self.outcome.done() or self.given_up.done() or self._deadline > deadline:
            return False
        return self._budget_seconds >= _LEAST_SHARE * needed_seconds

    def take_off(self) -> float:
        """Begin; return the seconds that are left."""
        self.took_off.set_result(None)
        return self._deadline - monotonic()


class Ticket:
    """The place of one scrape in a flight.

    Attributes:
        flight: The flight.
        is_first: Whether its holder has to see to it that the flight takes off.
    """

    __slots__ = ("flight", "is_first")

    def __init__(self, flight: InFlightBatch, *, is_first: bool) -> None:
        self.flight = flight
        self.is_first = is_first


class InFlightBatches:
    """The flights of one choice of checks, of which the newest can be joined; shared by threads."""

    def __init__(self, longest_run_seconds: float) -> None:
        """Begin without a flight.

        Args:
            longest_run_seconds: How long the slowest of the checks can take.
        """
        self._longest_run_seconds = longest_run_seconds
        self._newest: InFlightBatch | None = None
        self._lock = Lock()

    def board(self, budget_seconds: float) -> Ticket:
        """Join a flight that suits, or begin another; whoever boards has to `leave`.

        Args:
            budget_seconds: Time until the batch must have ended.
        """
        deadline = monotonic() + budget_seconds
        needed_seconds = min(budget_seconds, self._longest_run_seconds)
        with self._lock:
            flight = self._newest
            is_first = flight is None or not flight.suits(deadline, needed_seconds)
            if flight is None or is_first:
                flight = self._newest = InFlightBatch()
            ticket = Ticket(flight, is_first=is_first)
            flight.board(ticket, deadline, budget_seconds)
        return ticket

    def take_off(self, flight: InFlightBatch) -> float | None:
        """Begin a flight; return the seconds that are left, None when everybody has left it."""
        with self._lock:
            return None if flight.given_up.done() else flight.take_off()

    def leave(self, ticket: Ticket) -> None:
        """Return a place back; without passengers the flight is given up."""
        flight = ticket.flight
        with self._lock:
            is_over = flight.leave(ticket)
            if self._newest is flight and (is_over or flight.outcome.done()):
                self._newest = None
        if is_over:
            flight.given_up.set_result(None)
