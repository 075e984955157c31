"""The waterfall of a run: its phases in their order, each beginning where the one before it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Measurement

_LEAST_WIDTH = 0.4


class PhaseBar(NamedTuple):
    """A phase, and its place in the chart of all phases, in percent; 0 seconds when it did not begin."""

    name: str
    seconds: float
    x: str
    width: str


def waterfall(measurements: Iterable[Measurement]) -> list[PhaseBar]:
    """Return one bar per phase, in the order that the check type declares; further phases come last."""
    phases = [entry for entry in measurements if entry.spec.labels == ("phase",)]
    seconds = {entry.labels[0]: float(entry.value) for entry in phases}
    declared = [labels[0] for entry in phases[:1] for labels, _ in entry.spec.defaults]
    order = list(dict.fromkeys((*declared, *seconds)))
    total = sum(seconds.values())
    scale = 100 / total if total > 0 else 0.0
    bars, before = [], 0.0
    for name in order:
        taken = seconds.get(name, 0.0)
        width = max(taken * scale, _LEAST_WIDTH) if taken else 0.0
        bars.append(PhaseBar(name, taken, f"{min(before * scale, 100 - width):.1f}", f"{width:.1f}"))
        before += taken
    return bars
