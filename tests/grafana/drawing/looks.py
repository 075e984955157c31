"""The look of a panel's values, read from its field configuration: units, colours by value, words."""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLOURS = {
    "green": "#6fbf73",
    "orange": "#f2a33a",
    "red": "#e5484d",
    "blue": "#5b8def",
    "purple": "#a678de",
    "yellow": "#e8cf4f",
    "text": "#d5d9e0",
}
_PALETTE = (
    "#6fbf73",
    "#e8cf4f",
    "#5b8def",
    "#f2a33a",
    "#e5484d",
    "#a678de",
    "#4fc1b8",
    "#e58ab5",
    "#9db35b",
    "#8fa3bf",
)
_SECONDS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d"))
_BYTES = ((1.0, "B"), (1024.0, "KiB"), (1024.0**2, "MiB"), (1024.0**3, "GiB"))
_COUNTS = ((1.0, ""), (1e3, "K"), (1e6, "M"))


class Look(NamedTuple):
    """The look of the values of one series or column."""

    properties: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The head of a column; empty if it has no special one."""
        return str(self.properties.get("displayName", ""))

    def text(self, value: float) -> str:
        """The value as shown."""
        words = self._mapping(value)
        return str(words["text"]) if words else format_value(value, self.unit, self.properties.get("decimals"))

    def colour(self, value: float) -> str:
        """The colour of the value."""
        if words := self._mapping(value):
            return COLOURS[words["color"]]
        colour = "text"
        for step in self.properties.get("thresholds", {}).get("steps", ()):
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        return COLOURS[colour]

    @property
    def fixed_colour(self) -> str | None:
        """The fixed colour of a series; None if it depends on the name."""
        fixed = self.properties.get("color", {}).get("fixedColor")
        return COLOURS[fixed] if fixed else None

    @property
    def unit(self) -> str:
        """The unit, in Grafana's words."""
        return str(self.properties.get("unit", ""))

    def _mapping(self, value: float) -> Mapping[str, Any] | None:
        for mapping in self.properties.get("mappings", ()):
            if words := mapping["options"].get(f"{value:g}"):
                return dict(words)
        return None


def look_of(panel: Mapping[str, Any], *, name: str = "", letter: str = "") -> Look:
    """The look that a panel configures for a series or a column."""
    config = panel["fieldConfig"]
    properties = dict(config["defaults"])
    for override in config["overrides"]:
        matcher = override["matcher"]
        if (matcher["id"], matcher["options"]) in (("byName", name), ("byFrameRefID", letter)):
            properties |= {each["id"]: each["value"] for each in override["properties"]}
    return Look(properties)


def colours_of(panel: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """The colours of a panel's series: by their names, and different as long as there are enough."""
    chosen: dict[str, str] = {}
    for name in names:
        first = zlib.crc32(name.encode()) % len(_PALETTE)
        wanted = [*_PALETTE[first:], *_PALETTE[:first]]
        free = (colour for colour in wanted if colour not in chosen.values())
        chosen[name] = look_of(panel, name=name).fixed_colour or next(free, wanted[0])
    return chosen


def format_value(value: float, unit: str, decimals: int | None = None) -> str:
    """Write a number with its unit as Grafana would, or nearly."""
    match unit:
        case "percentunit":
            return f"{value * 100:.{1 if decimals is None else decimals}f} %"
        case "s":
            return _scaled(value, _SECONDS, decimals)
        case "bytes":
            return _scaled(value, _BYTES, decimals)
        case "d":
            return f"{value:.{0 if decimals is None else decimals}f} days"
        case "ops":
            return f"{_plain(value, decimals)} /s"
        case "dateTimeFromNow":
            return f"{_scaled(time.time() - value / 1000, _SECONDS, 0)} ago"
        case "dateTimeAsIso":
            return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M}"
        case "short":
            return _scaled(value, _COUNTS, decimals)
        case _:
            return _plain(value, decimals)


def _scaled(value: float, scale: tuple[tuple[float, str], ...], decimals: int | None) -> str:
    size = abs(value) or 1.0
    factor, unit = max([each for each in scale if each[0] <= size], default=scale[0])
    return f"{_plain(value / factor, decimals)} {unit}".strip()


def _plain(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.3g}"
