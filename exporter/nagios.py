"""Reads what a monitoring plugin prints: a summary, and performance data as numbers.

Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Performance data".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

STATES = ("ok", "warning", "critical", "unknown")
"""What exit statuses mean, by number."""

_MAX_VALUES = 100
_MAX_LABEL_CHARACTERS = 100
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPACE = re.compile(r"\s")
_UNITS = {
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "KB": 2.0**10,
    "MB": 2.0**20,
    "GB": 2.0**30,
    "TB": 2.0**40,
}
"""Factors to seconds and bytes; other units, such as % and c, are kept."""


class PluginOutput(NamedTuple):
    """What a plugin printed.

    Attributes:
        summary: The first line, without performance data.
        values: Performance data by label: times in seconds, sizes in bytes.
    """

    summary: str
    values: dict[str, float]


def read_output(text: str) -> PluginOutput:
    """Read the output of a plugin; data that cannot be read is left out, and so is more than a hundred values."""
    lines = text.splitlines() or [""]
    summary, _, data = lines[0].partition("|")
    _, _, further = "\n".join(lines[1:]).partition("|")
    values: dict[str, float] = {}
    for label, number in _entries(f"{data} {further}"):
        if len(values) == _MAX_VALUES:
            break
        values.setdefault(label, number)
    return PluginOutput(summary.strip(), values)


def _entries(data: str) -> Iterator[tuple[str, float]]:
    """Return label and value of each entry: `label=value[unit];[warn];[crit];[min];[max]`, separated by spaces."""
    position = 0
    while position < len(data):
        if data[position].isspace():
            position += 1
            continue
        label, position = _label(data, position)
        end = _next_space(data, position)
        number = _value(data[position + 1 : end]) if data[position : position + 1] == "=" else None
        position = end
        if number is not None and label.strip() and label.isprintable() and len(label) <= _MAX_LABEL_CHARACTERS:
            yield label, number


def _label(data: str, start: int) -> tuple[str, int]:
    """Return the label that starts at a position, and the position after it; in quotes, two quotes stand for one."""
    if data[start] != "'":
        end = _next_space(data, start)
        equals = data.find("=", start, end)
        end = end if equals < 0 else equals
        return data[start:end], end
    end = data.find("'", start + 1)
    while end >= 0 and data[end + 1 : end + 2] == "'":
        end = data.find("'", end + 2)
    return ("", len(data)) if end < 0 else (data[start + 1 : end].replace("''", "'"), end + 1)


def _next_space(data: str, start: int) -> int:
    """Return the position of the next whitespace, or the end."""
    match = _SPACE.search(data, start)
    return len(data) if match is None else match.start()


def _value(written: str) -> float | None:
    """Return a value in base units; None for `U`, which stands for unknown."""
    number = written.partition(";")[0]
    match = _NUMBER.match(number)
    if match is None:
        return None
    return float(match[0]) * _UNITS.get(number[match.end() :], 1.0)
