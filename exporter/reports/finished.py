"""Checks that have run, and whether a run of them counts as failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.model import ResultStatus, Severity
from exporter.quantities import counted, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.config import Place
    from exporter.model import Check, Result


class State(StrEnum):
    """The state of a check for people."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"
    MAINTENANCE = "maintenance"


WORST_FIRST = (State.FAILING, State.DEGRADED, State.MAINTENANCE, State.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedCheck:
    """A check that has run once.

    Attributes:
        check: The check.
        result: Its result, with the texts that explain a failure masked.
        in_maintenance: Whether it was in maintenance at its end.
        place: Where it is written; None for a check that no file contains.
    """

    check: Check
    result: Result
    in_maintenance: bool = False
    place: Place | None = None

    @property
    def state(self) -> State:
        """The state; a check that is not ok in maintenance has the state `maintenance`."""
        is_ok = self.result.status is ResultStatus.OK
        return State.MAINTENANCE if self.in_maintenance and not is_ok else State(self.result.status.state)

    @property
    def why(self) -> str:
        """The reason and the detail of a check that is not ok; empty if it is ok."""
        if self.result.status is ResultStatus.OK:
            return ""
        return ": ".join(filter(None, (self.result.reason, self.result.detail)))

    def misses(self, fail_on: Severity) -> bool:
        """Whether its verdict is at least this severe, in maintenance or not."""
        status = self.result.status
        return status is ResultStatus.ERROR or (status is ResultStatus.WARNING and fail_on is Severity.WARNING)

    def fails(self, fail_on: Severity) -> bool:
        """Whether it makes the run fail; in maintenance nothing does."""
        return not self.in_maintenance and self.misses(fail_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Checks that ran in one batch.

    Attributes:
        checks: The checks, in the order in which they are reported.
        duration_seconds: How long the batch took.
        fail_on: The least severity of a verdict that makes the round fail.
    """

    checks: Sequence[FinishedCheck]
    duration_seconds: float
    fail_on: Severity = Severity.ERROR

    @property
    def failed(self) -> bool:
        """Whether a check failed outside maintenance."""
        return any(finished.fails(self.fail_on) for finished in self.checks)

    @property
    def counts(self) -> dict[State, int]:
        """The number of checks in each state."""
        counts = Counter(finished.state for finished in self.checks)
        return {state: counts[state] for state in State}

    @property
    def summary(self) -> str:
        """How many checks ran, how long that took, and how many are in each state."""
        counts = self.counts
        states = [f"{counts[state]} {state}" for state in State if state is not State.MAINTENANCE]
        if counts[State.MAINTENANCE]:
            states.append(f"{counts[State.MAINTENANCE]} in maintenance")
        return f"{counted(len(self.checks), 'check')} in {seconds_text(self.duration_seconds)}: {', '.join(states)}"
