"""Panels over time as SVG: curves, bands of states, heat maps."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.grafana.drawing.looks import colours_of, format_value, look_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.grafana.drawing.answers import Series, Span

_BOTTOM = 20
_AXIS_WIDTH = 58
_LINE = "#2b3038"
_INK = "#9aa3b0"

Edges = tuple[float, float, float]
"""A time, and the lower and the upper edge of what is drawn there."""


class Area(NamedTuple):
    """The area of values: a time range and a range of values on a picture with room for axes at both sides."""

    span: Span
    least: float
    most: float
    left: float
    width: float
    height: float
    right: float = 8

    def x(self, time: float) -> float:
        """The place of a time."""
        return self.left + (self.width - self.left - self.right) * (time - self.span.start) / self.span.duration

    def y(self, value: float) -> float:
        """The place of a value."""
        room = self.height - _BOTTOM - 8
        return 8 + room * (1 - (value - self.least) / ((self.most - self.least) or 1))


def draw_curves(panel: Mapping[str, Any], found: Sequence[Series], span: Span, width: float, height: float) -> str:
    """Lines, or stacked areas, with a legend, and an axis for each unit: the first at the left, others at the right."""
    defaults = panel["fieldConfig"]["defaults"]
    is_stacked = defaults["custom"].get("stacking", {}).get("mode") == "normal"
    by_unit: dict[str, list[tuple[Series, list[Edges]]]] = {}
    for layer in _layers(found, is_stacked=is_stacked):
        unit = look_of(panel, name=layer[0].name, letter=layer[0].letter).unit
        by_unit.setdefault(unit, []).append(layer)
    colours = colours_of(panel, [series.name for series in found])
    area = Area(span, 0, 1, _AXIS_WIDTH, width, height - 22, 8 + _AXIS_WIDTH * max(len(by_unit) - 1, 0))
    parts = [*_clock(area)]
    for number, (unit, layers) in enumerate(by_unit.items()):
        ticks = _ticks_of([points for _, points in layers], defaults)
        area = area._replace(least=ticks[0], most=ticks[-1])
        parts += _axis(area, ticks, unit, number)
        for series, points in layers:
            opacity = 0.55 if is_stacked else 0.08
            parts += [_band(area, piece, colours[series.name], opacity) for piece in _pieces(points, span.step)]
    return _svg(area, parts) + _legend(colours)


def draw_states(panel: Mapping[str, Any], found: Sequence[Series], span: Span, width: float, height: float) -> str:
    """A band for each series, in the colours of its states, with a legend of the states."""
    left = min(max([6.6 * len(series.name) for series in found], default=0.0) + 14, width / 2)
    area = Area(span, 0, 1, left, width, height - 22)
    row = min((area.height - _BOTTOM) / (len(found) or 1), 34)
    parts = [*_clock(area)]
    shown: dict[str, str] = {}
    for number, series in enumerate(found):
        look = look_of(panel, name=series.name, letter=series.letter)
        top = 4 + number * row
        parts.append(_label(left - 8, top + row / 2 + 4, series.name, anchor="end"))
        for start, end, value in _runs(series.points, span.step):
            shown[look.text(value)] = look.colour(value)
            x = area.x(max(start, span.start))
            parts.append(
                f'<rect x="{x:.1f}" y="{top + 2:.1f}" width="{max(area.x(min(end, span.end)) - x, 1):.1f}"'
                f' height="{row - 4:.1f}" fill="{look.colour(value)}"/>'
            )
    return _svg(area, parts) + _legend(shown)


def draw_heat(found: Sequence[Series], span: Span, width: float, height: float) -> str:
    """Cells by time and bucket; the series are cumulative counts by `le`."""
    ordered = sorted(found, key=lambda series: float(series.labels["le"].replace("+Inf", "inf")))
    area = Area(span, 0, len(ordered) or 1, _AXIS_WIDTH, width, height)
    below: dict[float, float] = {}
    cells: list[tuple[float, int, float]] = []
    for number, series in enumerate(ordered):
        counts = dict(series.points)
        cells += [(time, number, count - below.get(time, 0.0)) for time, count in counts.items()]
        below = counts
    most = max((count for _, _, count in cells), default=1.0)
    side = area.x(span.start + span.step) - area.x(span.start)
    parts = [*_clock(area)]
    for time, number, count in cells:
        if count > 1e-9:
            top, opacity = area.y(number + 1), 0.15 + 0.85 * (count / most) ** 0.5
            parts.append(
                f'<rect x="{area.x(time) - side:.1f}" y="{top:.1f}" width="{side + 0.3:.1f}"'
                f' height="{area.y(number) - top - 1:.1f}" fill="#f2a33a" opacity="{opacity:.2f}"/>'
            )
    for number, series in enumerate(ordered):
        bound = float(series.labels["le"].replace("+Inf", "inf"))
        text = "∞" if math.isinf(bound) else format_value(bound, "s")
        parts.append(_label(52, (area.y(number) + area.y(number + 1)) / 2 + 4, text, anchor="end"))
    return _svg(area, parts)


def _layers(found: Sequence[Series], *, is_stacked: bool) -> Iterator[tuple[Series, list[Edges]]]:
    """Each series with the edges of what is drawn for it."""
    heights: dict[float, float] = {}
    for series in found:
        points = []
        for time, value in series.points:
            low = heights.get(time, 0.0) if is_stacked else 0.0
            points.append((time, low, low + value))
            heights[time] = low + value
        yield series, points


def _pieces(points: Sequence[Edges], step: float) -> Iterator[list[Edges]]:
    piece: list[Edges] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > 1.5 * step:
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def _runs(points: Sequence[tuple[float, float]], step: float) -> Iterator[tuple[float, float, float]]:
    """Start, end and value of each stretch with one value and no missing step."""
    start, last, value = points[0][0], points[0][0], points[0][1]
    for time, other in points[1:]:
        if other != value or time - last > 1.5 * step:
            yield start - step, last, value
            start, value = time, other
        last = time
    yield start - step, last, value


def _band(area: Area, piece: Sequence[Edges], colour: str, opacity: float) -> str:
    top = " ".join(f"{area.x(time):.1f},{area.y(high):.1f}" for time, _, high in piece)
    bottom = " ".join(f"{area.x(time):.1f},{area.y(low):.1f}" for time, low, _ in reversed(piece))
    return (
        f'<polygon points="{top} {bottom}" fill="{colour}" opacity="{opacity}"/>'
        f'<polyline points="{top}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below the lowest to above the highest value."""
    rough = (high - low or 1.0) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _ticks_of(layers: Sequence[Sequence[Edges]], defaults: Mapping[str, Any]) -> list[float]:
    """The ticks of an axis for these series, within the limits of the panel."""
    highest = max((high for points in layers for _, _, high in points), default=1.0)
    lowest = min((low for points in layers for _, low, _ in points), default=0.0)
    return _ticks(min(lowest, defaults.get("min", 0.0), 0.0), defaults.get("max", highest * 1.05 or 1.0))


def _axis(area: Area, ticks: Sequence[float], unit: str, number: int) -> Iterator[str]:
    """An axis: the first has lines across the picture."""
    end = area.width - area.right
    for value in ticks:
        y, text = area.y(value), format_value(value, unit)
        if number == 0:
            yield f'<line x1="{area.left}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LINE}"/>'
            yield _label(area.left - 6, y + 4, text, anchor="end")
        else:
            yield _label(end + 6 + _AXIS_WIDTH * (number - 1), y + 4, text, anchor="start")


def _clock(area: Area) -> Iterator[str]:
    count = max(2, min(6, int((area.width - area.left - area.right) // 82)))
    for number in range(count):
        time = area.span.start + area.span.duration * (number + 0.5) / count
        yield _label(area.x(time), area.height - 4, f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}", anchor="middle")


def _label(x: float, y: float, text: str, *, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{escape(text)}</text>'


def _svg(area: Area, parts: Sequence[str]) -> str:
    return f'<svg width="{area.width:.0f}" height="{area.height:.0f}">{"".join(parts)}</svg>'


def _legend(names: Mapping[str, str]) -> str:
    entries = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in names.items()
    )
    return f'<div class="legend">{entries}</div>'
