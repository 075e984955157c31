"""Durations and sizes: parses them as Prometheus writes them, and formats durations for it."""

from __future__ import annotations

import math
import re

_DURATION_UNITS = {"y": 31536000.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

DURATION_PATTERN = re.compile("(?=.)" + "".join(rf"(?:[0-9]+(?:\.[0-9]+)?{unit})?" for unit in _DURATION_UNITS))

_UNITS_IN_ORDER = f"{', '.join(list(_DURATION_UNITS)[:-1])} and ms, in this order"

_DURATION_PART = re.compile(r"([0-9.]+)(ms|[ywdhms])")

_WORD = re.compile("[a-z]+")
_UNIT_WORDS = {
    word: unit
    for unit, words in {
        "w": "week weeks", "d": "day days", "h": "hour hours hr hrs", "m": "min mins minute minutes",
        "s": "sec secs second seconds", "ms": "msec msecs millisecond milliseconds",
    }.items()
    for word in words.split()
}  # fmt: skip

_MAX_DURATION_SECONDS = 100 * _DURATION_UNITS["y"]

_SIZE_UNITS = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2, "GB": 1024**3, "GIB": 1024**3}

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMG]?I?B?)", re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Parse a duration as Prometheus writes it (`1m30s`, `250ms`) and return seconds.

    Source: Prometheus, "Configuration", the placeholder `<duration>`; fractions (`0.5s`) are also allowed.

    Raises:
        ValueError: When the text is not a duration (a bare number is rejected because its unit would be a guess), or
            is longer than a hundred years, which no clock accepts.
    """
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if text == "0":
        return 0.0
    if not DURATION_PATTERN.fullmatch(text):
        raise ValueError(not_a_duration(text, DURATION_PATTERN, _UNITS_IN_ORDER))
    seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _MAX_DURATION_SECONDS:
        raise ValueError("is longer than a hundred years")
    return seconds


def not_a_duration(text: str, pattern: re.Pattern[str], units: str) -> str:
    """Return what to write instead of text that is not a duration: what was meant, a unit, or one of those that exist.

    Args:
        text: The text.
        pattern: Matches what is a duration here.
        units: The units that it may have, as a list for people.
    """
    likely = _WORD.sub(lambda word: _UNIT_WORDS.get(word[0], word[0]), "".join(text.lower().split()))
    if likely.startswith("-") and pattern.fullmatch(likely[1:]):
        return "is negative; a duration cannot be"
    if pattern.fullmatch(likely):
        return f"is not a duration; write {likely}"
    if text[-1:].isalpha():
        return f"is not a duration; the units are {units}, as in 1m30s"
    return "is not a duration; write it with a unit, such as 500ms, 5s, 1m30s"


def parse_size(value: object) -> int:
    """Parse a size such as `512KiB` or `1MiB` (powers of 1024, as in Prometheus) and return bytes.

    Raises:
        ValueError: When the text is not a size.
    """
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text)
    if match is None or match[2].upper() not in _SIZE_UNITS:
        raise ValueError("is not a size; write bytes or a unit, such as 65536, 512KiB, 1MiB")
    return int(match[1]) * _SIZE_UNITS[match[2].upper()]


_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
"""Units of durations in milliseconds, largest first."""


def duration_text(seconds: float) -> str:
    """Format a duration for Prometheus, which knows no fractions, in the largest unit that divides it."""
    milliseconds = max(1, math.ceil(round(seconds * 1000, 6)))
    return next(f"{milliseconds // size}{unit}" for unit, size in _UNITS if milliseconds % size == 0)
