"""A dashboard as one HTML page: its panels at their places in the grid, closed rows closed."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.grafana.drawing.answers import Series, Span, ask
from tests.grafana.drawing.boxes import draw_number, draw_ranking, draw_table
from tests.grafana.drawing.charts import draw_curves, draw_heat, draw_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.servers.prometheus import Prometheus

PAGE_WIDTH = 1360
_MARGIN = 12
_COLUMN = (PAGE_WIDTH - 2 * _MARGIN) / 24
_ROW = 34
_GAP = 8
_HEAD = 92
_PADDING = 20
_TITLE = 28
_CAPTION = (
    "Drawn from the dashboard's own queries and a real Prometheus' answers by tests/grafana/draw.py. Not by Grafana."
)


def draw_page(
    prometheus: Prometheus,
    dashboard: Mapping[str, Any],
    values: Mapping[str, str],
    span: Span,
    *,
    rows: int | None = None,
) -> tuple[str, int]:
    """Draw a dashboard.

    Args:
        prometheus: Answers its queries.
        dashboard: Its JSON.
        values: Of its variables, and of Grafana's own.
        span: The time range.
        rows: Where the page ends, in rows of the grid; None for all of it.

    Returns:
        The page, and its height in pixels.
    """
    placed = [panel for panel in dashboard["panels"] if rows is None or panel["gridPos"]["y"] < rows]
    drawn = [_draw_placed(prometheus, panel, values, span) for panel in placed]
    end = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in placed)
    height = _HEAD + end * _ROW + 34
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(dashboard["title"])}</title>'
        f"<style>{style}</style><body>{_head(dashboard, values)}{''.join(drawn)}"
        f'<footer style="top:{height - 26}px">{escape(_CAPTION)}</footer></body></html>'
    )
    return page, height


def draw_panel(panel: Mapping[str, Any], found: Sequence[Series], span: Span, width: float, height: float) -> str:
    """The content of a panel, from the answers to its queries."""
    match panel["type"]:
        case "timeseries":
            return draw_curves(panel, found, span, width, height)
        case "state-timeline":
            return draw_states(panel, found, span, width, height)
        case "heatmap":
            return draw_heat(found, span, width, height)
        case "stat":
            return draw_number(panel, found)
        case "bargauge":
            return draw_ranking(panel, found)
        case "table":
            return draw_table(panel, found)
        case kind:
            raise ValueError(f"cannot draw a panel of the type {kind}")


def _draw_placed(prometheus: Prometheus, panel: Mapping[str, Any], values: Mapping[str, str], span: Span) -> str:
    grid = panel["gridPos"]
    width, height = grid["w"] * _COLUMN - _GAP, grid["h"] * _ROW - _GAP
    place = (
        f"left:{_MARGIN + grid['x'] * _COLUMN:.1f}px;top:{_HEAD + grid['y'] * _ROW}px;"
        f"width:{width:.1f}px;height:{height:.1f}px"
    )
    title = escape(panel["title"])
    if panel["type"] == "row":
        sign = "▸" if panel["collapsed"] else "▾"
        return f'<h3 style="{place}">{sign} {title}</h3>'
    found = ask(prometheus, panel, values, span)
    content = draw_panel(panel, found, span, width - _PADDING, height - _TITLE - _PADDING / 2)
    kind = panel["type"] if found and panel["options"].get("colorMode") != "none" else f"{panel['type']} bare"
    return f'<section class="{kind}" style="{place}"><h2>{title}</h2><div class="content">{content}</div></section>'


def _head(dashboard: Mapping[str, Any], values: Mapping[str, str]) -> str:
    shown = []
    for variable in dashboard["templating"]["list"]:
        value = "Prometheus" if variable["type"] == "datasource" else values[variable["name"]]
        text = "All" if value == ".*" else value
        shown.append(f"<span><em>{escape(variable['label'])}</em>{escape(text)}</span>")
    links = "".join(f"<span>{escape(link['title'])}</span>" for link in dashboard["links"])
    return f"<header><h1>{escape(dashboard['title'])}</h1><nav>{links}</nav><p>{''.join(shown)}</p></header>"
