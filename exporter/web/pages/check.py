"""The page of one check: its state and why, what was measured, and the log of its recent runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from exporter.masking import unmasked
from exporter.web.pages.markup import render
from exporter.web.pages.sparkline import sparkline
from exporter.web.pages.words import State, state_of_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.masking import Mask
    from exporter.model import Check, Measurement
    from exporter.scrape.history import Run
    from exporter.web.pages.frame import Frame

_BAR_WIDTH = 240


class PhaseBar(NamedTuple):
    """A phase with its position in the chart of all phases, in pixels."""

    name: str
    seconds: float
    x: str
    width: str
    full_width: int = _BAR_WIDTH


def check_page(
    check: Check,
    runs: Sequence[Run],
    frame: Frame,
    *,
    mask: Mask = unmasked,
    is_enabled: bool = True,
) -> str:
    """Render the page.

    Args:
        check: The check.
        runs: Its recent runs, oldest first.
        frame: What every page shows.
        mask: Masks secrets in what was observed, measured and logged.
        is_enabled: Whether it runs.
    """
    latest = runs[-1] if runs else None
    measured = () if latest is None else latest.measurements
    measurements = list({(entry.spec.name, entry.labels): entry for entry in measured}.values())
    return render(
        "check.html",
        frame,
        title=check.name,
        check=check,
        state=state_of_check(check, latest, frame.now_seconds) if is_enabled else State.DISABLED,
        is_enabled=is_enabled,
        latest=latest,
        picture=sparkline(runs),
        probe_link=f"/probe?{urlencode({'check': check.name}, errors='replace')}",
        phases=_phase_bars([entry for entry in measurements if entry.spec.labels == ("phase",)]),
        measurements=measurements,
        runs=runs[::-1],
        mask=mask,
    )


def _phase_bars(phases: Sequence[Measurement]) -> list[PhaseBar]:
    """Return one bar per phase, each starting where the previous one ends, as the phases follow each other."""
    total = sum(phase.value for phase in phases)
    scale = _BAR_WIDTH / total if total > 0 else 0.0
    bars, before = [], 0.0
    for phase in phases:
        x, width = f"{before * scale:.1f}", f"{max(phase.value * scale, 0.5):.1f}"
        bars.append(PhaseBar(" ".join(phase.labels), phase.value, x, width))
        before += phase.value
    return bars
