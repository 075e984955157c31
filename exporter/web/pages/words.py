"""How the pages say things: the word and the class of a state, durations, ages, numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.quantities import number_text
from exporter.web.pages.markup import Html, render

if TYPE_CHECKING:
    from exporter.scrape.history import Run


_MAX_FIELD_CHARACTERS = 500


class State(StrEnum):
    """What a check's last run says, in the words of the pages; worst first."""

    FAILING = "failing"
    DEGRADED = "degraded"
    NOT_RUN = "not-run"
    OK = "ok"

    @property
    def label(self) -> str:
        """The state as people read it."""
        return "not run yet" if self is State.NOT_RUN else self.value


def state_of(run: Run | None) -> State:
    """Give the state that a last run stands for; None means that there was none."""
    return State.NOT_RUN if run is None else State(run.status.state)


def badge(state: State) -> Html:
    """Give the state as a coloured word; the word carries the meaning, the colour repeats it."""
    return render("badge", state=state.value, label=state.label)


def duration_text(seconds: float) -> str:
    """Write a duration with three significant digits in the unit that fits."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def age_text(seconds: float) -> str:
    """Write how long ago something was, coarsely."""
    if seconds < 1.5:
        return "just now"
    for unit_seconds, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_seconds:
            return f"{seconds / unit_seconds:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def moment(timestamp_seconds: float, now_seconds: float) -> Html:
    """Give a point in time as its age, with the exact time for machines and on hovering."""
    exact = datetime.fromtimestamp(timestamp_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return render("moment", exact=exact, age=age_text(max(0.0, now_seconds - timestamp_seconds)))


def field_text(name: str, value: object) -> str:
    """Write a fact of a log line: durations by the name of the field, lists without brackets, all of bounded length."""
    if isinstance(value, float):
        return duration_text(value) if name.endswith("seconds") else number_text(value)
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return text if len(text) <= _MAX_FIELD_CHARACTERS else text[: _MAX_FIELD_CHARACTERS - 1] + "…"
