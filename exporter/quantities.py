"""Formats numbers, counts and durations for people: short, and with an exponent only where necessary."""

from __future__ import annotations

import math
from decimal import Decimal

_LARGEST_PLAIN = 1e15
_LARGE = 1000
_LEAST_ELAPSED_SECONDS = 0.5
_ELAPSED_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def number_text(value: float) -> str:
    """Format a number: whole ones without a fraction, others to the thousandth or with six significant digits."""
    if not math.isfinite(value) or abs(value) >= _LARGEST_PLAIN:
        return f"{value:.6g}"
    if value == int(value):
        return str(int(value))
    return _trimmed(f"{value:.3f}") if abs(value) >= _LARGE else _plain(f"{value:.6g}")


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 check`, `2 checks`.

    Args:
        number: How many there are.
        noun: The noun for one.
        plural: The noun for several, where an `s` does not make it.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def seconds_text(seconds: float) -> str:
    """Format a duration in seconds, to the millisecond or with three significant digits: `0.254 s`, `0.00032 s`."""
    if not math.isfinite(seconds):
        return f"{seconds} s"
    is_tiny = 0 < abs(seconds) < 0.01
    return f"{_plain(f'{seconds:.3g}') if is_tiny else _trimmed(f'{seconds:.3f}')} s"


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
