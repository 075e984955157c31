"""The sparkline of a check's recent runs: one bar per run, with the duration as height and the verdict as colour."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.quantities import counted, seconds_text
from exporter.web.pages.words import State, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.scrape.runs import Run

_BARS = 30
_BAR_WIDTH = 4
_HEIGHT = 22
_LOWEST = 3
"""Height of the shortest bar in pixels, so that a fast run is still visible."""


class Sparkline(NamedTuple):
    """A sparkline as the template draws it.

    Attributes:
        summary: Its content in words, for screen readers.
        bars: Each state with the SVG path of all its runs: a tenth of the text that one element per bar would take.
        width: Width in pixels.
        height: Height in pixels.
    """

    summary: str
    bars: tuple[tuple[str, str], ...]
    width: int = _BARS * _BAR_WIDTH
    height: int = _HEIGHT


def sparkline(runs: Sequence[Run]) -> Sparkline | None:
    """Return the sparkline of the last runs, oldest first; None when there are none."""
    shown = runs[-_BARS:]
    if not shown:
        return None
    longest = max(run.duration_seconds for run in shown) or 1.0
    bars: dict[State, list[str]] = {}
    for position, run in enumerate(shown, _BARS - len(shown)):
        bars.setdefault(state_of(run), []).append(_bar(position, run.duration_seconds / longest))
    return Sparkline(_summary(shown, longest), tuple((state.value, "".join(paths)) for state, paths in bars.items()))


def _bar(position: int, share: float) -> str:
    height = max(_LOWEST, round(_HEIGHT * share))
    width = _BAR_WIDTH - 1
    return f"M{position * _BAR_WIDTH} {_HEIGHT}v-{height}h{width}v{height}z"


def _summary(runs: Sequence[Run], longest: float) -> str:
    counts = Counter(state_of(run) for run in runs)
    states = ", ".join(f"{counts[state]} {state.label}" for state in State if counts[state])
    return f"Last {counted(len(runs), 'run')}: {states}; longest {seconds_text(longest)}"
