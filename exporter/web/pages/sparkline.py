"""The picture of a check's recent runs: one bar per run, its height the duration, its colour the verdict."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from exporter.web.pages.markup import EMPTY, Html, join, render
from exporter.web.pages.words import State, duration_text, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.scrape.history import Run

_BARS = 30
_BAR_WIDTH = 4
_HEIGHT = 22
_LOWEST = 3
"""Pixels of the shortest bar, so that a fast run can still be seen."""


def sparkline(runs: Sequence[Run]) -> Html:
    """Draw the last runs, oldest first, as inline SVG with a text for those who do not see it."""
    shown = runs[-_BARS:]
    if not shown:
        return EMPTY
    longest = max(run.duration_seconds for run in shown) or 1.0
    bars: dict[State, list[str]] = {}
    for position, run in enumerate(shown, _BARS - len(shown)):
        bars.setdefault(state_of(run), []).append(_bar(position, run.duration_seconds / longest))
    return render(
        "sparkline",
        width=_BARS * _BAR_WIDTH,
        height=_HEIGHT,
        summary=_summary(shown, longest),
        bars=join(render("bars", state=state.value, path="".join(paths)) for state, paths in bars.items()),
    )


def _bar(position: int, share: float) -> str:
    """Give a bar as a piece of an SVG path; one path per state is a tenth of the text of one element per bar."""
    height = max(_LOWEST, round(_HEIGHT * share))
    width = _BAR_WIDTH - 1
    return f"M{position * _BAR_WIDTH} {_HEIGHT}v-{height}h{width}v{height}z"


def _summary(runs: Sequence[Run], longest: float) -> str:
    counts = Counter(state_of(run) for run in runs)
    states = ", ".join(f"{counts[state]} {state.label}" for state in State if counts[state])
    return f"Last {len(runs)} runs: {states}; longest {duration_text(longest)}"
