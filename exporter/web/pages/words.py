"""The wording of the pages: names and CSS classes of states, durations, ages and numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from exporter.quantities import elapsed_text, number_text

if TYPE_CHECKING:
    from exporter.model import Check, ExpectationOutcome
    from exporter.scrape.runs import Run


_MAX_FIELD_CHARACTERS = 500


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
    def is_good(self) -> bool:
        """Whether a check in this state needs no attention."""
        return self in (State.OK, State.DISABLED)


def state_of(run: Run | None) -> State:
    """Return the state of a check from its last run; None for a check that has not run."""
    return State.NOT_RUN if run is None else State(run.status.state)


def state_of_check(check: Check, run: Run | None, now_seconds: float) -> State:
    """Return the state of a check that runs: a failing or degraded one in a maintenance window is in maintenance."""
    state = state_of(run)
    is_bad = state in (State.FAILING, State.DEGRADED)
    return State.MAINTENANCE if is_bad and check.in_maintenance(now_seconds) else state


class Verdict(NamedTuple):
    """The outcome of an expectation: the word for it, and the CSS class that colours it."""

    word: str
    css: str


def verdict_of(outcome: ExpectationOutcome) -> Verdict:
    """Return the word and the CSS class for the outcome of an expectation."""
    if not outcome.evaluated:
        return Verdict("not evaluated", "not-run")
    if outcome.ok:
        return Verdict("held", "ok")
    return Verdict("missed", "failing" if outcome.expectation.severity == "error" else "degraded")


def duration_text(seconds: float) -> str:
    """Format a duration with three significant digits in a suitable unit."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def age_text(seconds: float) -> str:
    """Format roughly how long ago something was."""
    if seconds < 1.5:
        return "just now"
    return f"{elapsed_text(seconds)} ago"


def exact_time(timestamp_seconds: float) -> str:
    """Format a point in time to the second, in UTC."""
    return datetime.fromtimestamp(timestamp_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_text(timestamp_seconds: float) -> str:
    """Format a day, in UTC."""
    moment = datetime.fromtimestamp(timestamp_seconds, UTC)
    return f"{moment.day} {moment:%b %Y}"


def clock_text(timestamp_seconds: float, now_seconds: float) -> str:
    """Format a point in time as a clock shows it, in UTC, with the day unless that is today."""
    moment, now = (datetime.fromtimestamp(seconds, UTC) for seconds in (timestamp_seconds, now_seconds))
    if moment.date() == now.date():
        return f"{moment:%H:%M} UTC"
    return f"{moment.day} {moment:%b %H:%M} UTC" if moment.year == now.year else f"{moment:%Y-%m-%d %H:%M} UTC"


def field_text(name: str, value: object) -> str:
    """Format a field of a log line: durations by the field's name, lists without brackets, all of bounded length."""
    if isinstance(value, float):
        return duration_text(value) if name.endswith("seconds") else number_text(value)
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return text if len(text) <= _MAX_FIELD_CHARACTERS else text[: _MAX_FIELD_CHARACTERS - 1] + "…"
