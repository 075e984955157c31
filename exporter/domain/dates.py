"""Reads the dates in answers of registries: RFC 3339 in RDAP, and the many formats of WHOIS servers.

A date without a time is midnight, and a time without a known zone is UTC. In dates of digits that end with the year,
the day comes before the month, as in all registries that write them so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MOST_CHARACTERS = 80
_FIRST_YEAR = 1970

_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},?\s+)?"
_MONTH = r"(?P<month>[0-9]{1,2}|[a-z]{3,9})"
_DAY = r"(?P<day>[0-9]{1,2})"
_YEAR = r"(?P<year>[0-9]{4})"
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?"
_TIME = rf"(?:(?:t|\s+){_CLOCK})?"
_ZONE = (
    r"\s*(?:z|\(?(?:utc|gmt)?(?P<sign>[+-])(?P<zone_hours>[0-9]{1,2}):?(?P<zone_minutes>[0-9]{2})?\)?"
    r"|\(?[a-z][a-z/_ ]{0,30}\)?)?"
)
_FORMATS = tuple(
    re.compile(text, re.ASCII)
    for text in (
        rf"{_YEAR}(?:[-/]|\.\s?){_MONTH}(?:[-/]|\.\s?){_DAY}{_TIME}{_ZONE}",
        rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})",
        rf"{_WEEKDAY}{_DAY}[-/. ]{_MONTH}[-/. ]{_YEAR}{_TIME}{_ZONE}",
        rf"{_WEEKDAY}(?P<month>[a-z]{{3,9}})\s+{_DAY},?\s+{_YEAR}{_TIME}{_ZONE}",
        rf"{_WEEKDAY}(?P<month>[a-z]{{3,9}})\s+{_DAY}\s+{_CLOCK}(?:\s+[a-z]{{1,5}})?\s+{_YEAR}",
    )
)


def read_date(text: str) -> float | None:
    """Return a date as Unix time; None when it cannot be read or is before 1970."""
    trimmed = text.strip().rstrip(".").lower()
    if len(trimmed) > _MOST_CHARACTERS:
        return None
    for form in _FORMATS:
        if match := form.fullmatch(trimmed):
            return _timestamp_seconds(match.groupdict())
    return None


def _timestamp_seconds(parts: dict[str, str | None]) -> float | None:
    month = _month(parts["month"] or "")
    if month is None or int(parts["year"] or 0) < _FIRST_YEAR:
        return None
    hours, minutes = int(parts.get("zone_hours") or 0), int(parts.get("zone_minutes") or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        zone = timezone(-offset if parts.get("sign") == "-" else offset) if offset else UTC
        hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
        year, day = int(parts["year"] or 0), int(parts["day"] or 0)
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None


def _month(text: str) -> int | None:
    if text.isdigit():
        return int(text)
    return _MONTHS.index(text[:3]) + 1 if text[:3] in _MONTHS else None
