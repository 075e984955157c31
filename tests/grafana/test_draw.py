"""The pictures: every panel of a dashboard is drawn, and numbers are readable."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING

import pytest

from tests.grafana.drawing.answers import span_of, times
from tests.grafana.drawing.looks import format_value
from tests.grafana.drawing.page import draw_page
from tests.grafana.reading import NAMES, defaults, read_dashboard
from tests.waiting import at_last

if TYPE_CHECKING:
    from tests.grafana.scene import Scene


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_drawn(scene: Scene, name: str) -> None:
    """Each panel and each row is on the page, and none is without data."""
    dashboard = read_dashboard(name)

    def missing() -> list[str]:
        span = span_of(time.time(), 60)
        values = defaults(dashboard) | times(span, 0.5) | ({"check": "shop"} if name == "check" else {})
        page, _ = draw_page(scene.prometheus, dashboard, values, span)
        absent = [panel["title"] for panel in dashboard["panels"] if f"{escape(panel['title'])}</h" not in page]
        return absent + ["data"] * ("No data" in page)

    assert at_last(missing, []) == []


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0, "s", None, "0 s"),
        (0.0123, "s", None, "12.3 ms"),
        (90.0, "s", None, "1.5 min"),
        (0.98765, "percentunit", 2, "98.77 %"),
        (-1.5, "percentunit", 0, "-150 %"),
        (13.4, "d", 0, "13 days"),
        (1536.0, "bytes", None, "1.5 KiB"),
        (2.5, "ops", None, "2.5 /s"),
        (12345.0, "short", None, "12.3 K"),
        (2024010203.0, "none", None, "2024010203"),
        (1.7e12, "dateTimeAsIso", None, "2023-11-14 22:13"),
    ],
)
def test_numbers_are_written_with_their_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    """A value has the unit that its panel configures."""
    assert format_value(value, unit, decimals) == text
