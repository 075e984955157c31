"""The wording of the pages: names and CSS classes of states, durations, ages and numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.model import Severity
from exporter.quantities import elapsed_text

if TYPE_CHECKING:
    from exporter.model import Check, ExpectationOutcome
    from exporter.scrape.runs import Run


class State(StrEnum):
    """The state of a check after its last run, as named on the pages; worst first."""

    FAILING = "failing"
    DEGRADED = "degraded"
    MAINTENANCE = "maintenance"
    NOT_RUN = "not-run"
    OK = "ok"
    DISABLED = "disabled"

    @property
    def label(self) -> str:
        """The state in words for people."""
        return "not run yet" if self is State.NOT_RUN else self.value

    @property
    def is_bad(self) -> bool:
        """Whether a check in this state needs attention now."""
        return self in (State.FAILING, State.DEGRADED)

    @property
    def is_good(self) -> bool:
        """Whether a check in this state needs no attention."""
        return self in (State.OK, State.DISABLED)


def state_of(run: Run | None) -> State:
    """Return the state of a check from its last run; None for a check that has not run."""
    return State.NOT_RUN if run is None else State(run.status.state)


def state_of_check(check: Check, run: Run | None, now_seconds: float) -> State:
    """Return the state of a check that runs: a failing or degraded one in a maintenance window is in maintenance."""
    state = state_of(run)
    return State.MAINTENANCE if state.is_bad and check.in_maintenance(now_seconds) else state


def css_of(outcome: ExpectationOutcome) -> str:
    """Return the CSS class that colours the outcome of an expectation: one that was not evaluated is not red."""
    if outcome.ok:
        return State.OK
    if not outcome.evaluated:
        return State.NOT_RUN
    return State.FAILING if outcome.expectation.severity is Severity.ERROR else State.DEGRADED


def age_text(seconds: float) -> str:
    """Format roughly how long ago something was."""
    if seconds < 1.5:
        return "just now"
    return f"{elapsed_text(seconds)} ago"


def day_text(timestamp_seconds: float) -> str:
    """Format a day, in UTC."""
    moment = datetime.fromtimestamp(timestamp_seconds, UTC)
    return f"{moment.day} {moment:%b %Y}"


def clock_text(timestamp_seconds: float, now_seconds: float, *, has_seconds: bool = False) -> str:
    """Format a point in time as a clock with or without seconds shows it, in UTC, with the day unless that is today."""
    moment, now = (datetime.fromtimestamp(seconds, UTC) for seconds in (timestamp_seconds, now_seconds))
    clock = f"{moment:%H:%M:%S} UTC" if has_seconds else f"{moment:%H:%M} UTC"
    if moment.date() == now.date():
        return clock
    return f"{moment.day} {moment:%b} {clock}" if moment.year == now.year else f"{moment:%Y-%m-%d} {clock}"
