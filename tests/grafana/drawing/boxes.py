"""Panels about one moment as HTML: big numbers, named bars, tables."""

from __future__ import annotations

import math
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from tests.grafana.drawing.looks import look_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.grafana.drawing.answers import Series
    from tests.grafana.drawing.looks import Look

Row = dict[str, str | float]


def draw_number(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    """Draw one number, or the names of the series."""
    if not found:
        return f'<div class="number">{escape(panel["fieldConfig"]["defaults"].get("noValue", "No data"))}</div>'
    is_named = panel["options"]["textMode"] == "name"
    is_filled = panel["options"]["colorMode"] == "background"
    parts = []
    for series in found:
        look = look_of(panel, name=series.name, letter=series.letter)
        colour = look.fixed_colour or look.colour(series.latest)
        style = f"background:{colour};color:#101318" if is_filled else f"color:{colour}"
        text = series.name if is_named else look.text(series.latest)
        parts.append(f'<div class="number" style="{style}">{escape(text)}</div>')
    return "".join(parts)


def draw_ranking(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    """Draw a bar for each series."""
    least = panel["fieldConfig"]["defaults"].get("min", 0.0)
    most = panel["fieldConfig"]["defaults"].get("max", max((series.latest for series in found), default=1.0)) or 1.0
    rows = []
    for series in found:
        look = look_of(panel, name=series.name, letter=series.letter)
        share = min(max((series.latest - least) / (most - least or 1.0), 0.0), 1.0)
        colour = look.colour(series.latest)
        rows.append(
            f'<span class="name">{escape(series.name)}</span><span class="bar"><i style="width:{share:.1%};'
            f'background:{colour}"></i></span><b style="color:{colour}">{escape(look.text(series.latest))}</b>'
        )
    return f'<div class="ranking">{"".join(rows)}</div>'


def draw_table(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    """Draw a table with merged rows and with its columns arranged by the panel's transformations."""
    rows = _merged(found, single=len(panel["targets"]) == 1)
    if not rows:
        return '<div class="number">No data</div>'
    arranged = next(each["options"] for each in panel["transformations"] if each["id"] == "organize")
    order = arranged["indexByName"]
    columns = [name for name in sorted(order, key=order.__getitem__) if any(name in row for row in rows)]
    looks = {name: look_of(panel, name=name) for name in columns}
    for key in panel["options"]["sortBy"]:
        name = next(name for name in columns if looks[name].title == key["displayName"])
        rows.sort(key=partial(_value, name), reverse=key["desc"])
    head = "".join(f"<th>{escape(looks[name].title)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(_cell(looks[name], row.get(name)) for name in columns)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _value(name: str, row: Row) -> tuple[float, str]:
    value = row.get(name, -math.inf)
    return (0.0, value) if isinstance(value, str) else (value, "")


def _cell(look: Look, value: str | float | None) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        return f'<td class="{"link" if look.properties.get("links") else ""}">{escape(value)}</td>'
    kind = look.properties.get("custom.cellOptions", {}).get("type", "auto")
    colour = look.colour(value)
    styles = {"color-background": f"background:{colour};color:#101318", "color-text": f"color:{colour}", "auto": ""}
    return f'<td style="{styles[kind]}">{escape(look.text(value))}</td>'


def _merged(found: Sequence[Series], *, single: bool) -> list[Row]:
    """One row for all series that agree in the labels that all answers have."""
    by_letter: dict[str, set[str]] = {}
    for series in found:
        by_letter.setdefault(series.letter, set()).update(series.labels)
    keys = sorted(set.intersection(*by_letter.values())) if by_letter else []
    rows: dict[tuple[str, ...], Row] = {}
    for series in found:
        row = rows.setdefault(tuple(series.labels.get(key, "") for key in keys), {})
        row.update(series.labels)
        row["Value" if single else f"Value #{series.letter}"] = series.latest
    return list(rows.values())
