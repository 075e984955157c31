"""Formats numbers, counts, durations and times for people: short, and with an exponent only where necessary."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

_LARGEST_PLAIN = 1e15
_LARGE = 1000
_LEAST_ELAPSED_SECONDS = 0.5
_SHORT_UNITS = ((1e-6, "us"), (1e-3, "ms"))
_UNITS_IN_NEXT = 1000
_ELAPSED_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def number_text(value: float) -> str:
    """Format a number: whole ones without a fraction, others to the thousandth or with six significant digits."""
    if not math.isfinite(value) or abs(value) >= _LARGEST_PLAIN:
        return f"{value:.6g}"
    if value == int(value):
        return str(int(value))
    return _trimmed(f"{value:.3f}") if abs(value) >= _LARGE else _plain(f"{value:.6g}")


def exact_time(timestamp_seconds: float) -> str:
    """Format a point in time to the second, in UTC."""
    return datetime.fromtimestamp(timestamp_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 check`, `2 checks`.

    Args:
        number: How many there are.
        noun: The noun for one.
        plural: The noun for several, where an `s` does not make it.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def seconds_text(seconds: float) -> str:
    """Format a duration in a suitable unit: to the millisecond from 1 s on, with three significant digits below.

    `6.56 us`, `12.3 ms`, `1.234 s`, `1234.5 s`.
    """
    if not math.isfinite(seconds):
        return f"{seconds} s"
    for unit_seconds, unit in _SHORT_UNITS:
        number = f"{seconds / unit_seconds:.3g}"
        if seconds and abs(float(number)) < _UNITS_IN_NEXT:
            return f"{_plain(number)} {unit}"
    return f"{_trimmed(f'{seconds:.3f}')} s"


def elapsed_text(seconds: float) -> str:
    """Format roughly how long something has lasted: `45 s`, `12 min`, `3 h`, `5 d`."""
    if seconds < _LEAST_ELAPSED_SECONDS:
        return "less than 1 s"
    for unit_seconds, unit in _ELAPSED_UNITS:
        if seconds >= 2 * unit_seconds:
            return f"{seconds / unit_seconds:.0f} {unit}"
    return f"{seconds:.0f} s"


def _trimmed(text: str) -> str:
    """Remove the trailing zeros of a fraction."""
    return text.rstrip("0").rstrip(".")


def _plain(text: str) -> str:
    return f"{Decimal(text):f}" if "e" in text else text
