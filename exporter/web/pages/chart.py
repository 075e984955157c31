"""The chart of response times over the recent runs: one bar per run, with its value in words."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from exporter.quantities import seconds_text
from exporter.web.pages.words import State, clock_text, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.scrape.runs import Run

_SLOT = 10
_HEIGHT = 100
_LOWEST = 2.0
_LEAST_SLOTS = 30
"""The number of bars of a full chart; the bars of fewer runs are as wide, at the right edge."""


class ChartBar(NamedTuple):
    """One run: its bar, and its text.

    Attributes:
        state: The verdict.
        reason: Why it was not ok; empty when it was.
        duration_seconds: How long it took.
        recorded_timestamp_seconds: Unix time when it was recorded.
        text: Time, duration and verdict in words.
        x: The left edge of the bar.
        y: Its upper edge.
        height: Its height.
    """

    state: State
    reason: str
    duration_seconds: float
    recorded_timestamp_seconds: float
    text: str
    x: int
    y: str
    height: str


class Chart(NamedTuple):
    """The chart as the template draws it.

    Attributes:
        bars: One per run, oldest first.
        longest_seconds: The duration at the upper edge.
        median_seconds: The duration that as many runs exceeded as not.
        width: The width of the drawing.
        height: Its height.
    """

    bars: Sequence[ChartBar]
    longest_seconds: float
    median_seconds: float
    width: int
    height: int = _HEIGHT


def chart_of(runs: Sequence[Run], now_seconds: float) -> Chart | None:
    """Return the chart of runs, oldest first; None for fewer than two."""
    if len(runs) < 2:
        return None
    longest = max(run.duration_seconds for run in runs) or 1.0
    slots = max(_LEAST_SLOTS, len(runs))
    bars = [_bar(place, run, longest, now_seconds) for place, run in enumerate(runs, slots - len(runs))]
    return Chart(bars, longest, median(run.duration_seconds for run in runs), slots * _SLOT)


def _bar(place: int, run: Run, longest: float, now_seconds: float) -> ChartBar:
    state, reason = state_of(run), "" if run.reason is None else run.reason.value
    height = max(_LOWEST, _HEIGHT * run.duration_seconds / longest)
    clock = clock_text(run.recorded_timestamp_seconds, now_seconds, has_seconds=True)
    text = f"{clock}: {seconds_text(run.duration_seconds)}, "
    text += f"{state.label}: {reason}" if reason else state.label
    return ChartBar(
        state=state,
        reason=reason,
        duration_seconds=run.duration_seconds,
        recorded_timestamp_seconds=run.recorded_timestamp_seconds,
        text=text,
        x=place * _SLOT,
        y=f"{_HEIGHT - height:.1f}",
        height=f"{height:.1f}",
    )
