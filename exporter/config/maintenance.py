"""The key `maintenance` of a check: windows on days of the week, or from one date to another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from exporter.config.problems import quoted
from exporter.model import MaintenanceWindow, SingleWindow, WeeklyWindow
from exporter.settings import SettingsModel

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24:00)")
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?")
_SHORTEST_DAY_NAME = 3


def _days(value: object) -> frozenset[int]:
    """Return the numbers of days given as names, short names and ranges (`mon`, `Friday`, `sat-sun`)."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError("must not be empty")
    return frozenset(number for item in items for number in _days_of(item))


def _days_of(item: object) -> list[int]:
    first, dash, last = str(item).partition("-") if isinstance(item, str) else ("", "", "")
    start = _day(first)
    end = _day(last) if dash else start
    if start is None or end is None:
        raise ValueError(f"has {quoted(item)}, which is not a day; write mon, tuesday or a range such as mon-fri")
    return [number % len(DAYS) for number in range(start, end + 1 if start <= end else end + len(DAYS) + 1)]


def _day(name: str) -> int | None:
    word = name.strip().lower()
    found = [number for number, day in enumerate(DAYS) if day.startswith(word)]
    return found[0] if len(word) >= _SHORTEST_DAY_NAME and found else None


def _moment(text: str) -> str:
    """Reject a text that is neither a time of day nor a date with a time."""
    if _TIME.fullmatch(text):
        return text
    if _DATE_TIME.fullmatch(text):
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"is not a date and time that exists: {error}") from None
        return text
    raise ValueError("is neither a time such as 22:00 nor a date with a time such as 2026-12-24T18:00")


def _zone(name: str) -> str:
    """Reject a name that neither the system's time zones nor the package tzdata has."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        known = available_timezones()
        if not known:
            raise ValueError("cannot be looked up: this system has no time zones; install the package tzdata") from None
        by_lower = {zone.lower(): zone for zone in known}
        near = get_close_matches(name.lower(), by_lower, n=1)
        hint = f'did you mean "{by_lower[near[0]]}"?' if near else "write one such as Europe/Berlin"
        raise ValueError(f"is not a time zone; {hint}") from None
    return name


DayNames = Annotated[
    frozenset[int],
    BeforeValidator(_days),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "examples": [["sat", "sun"], "mon-fri"],
        }
    ),
]
Moment = Annotated[
    str, AfterValidator(_moment), WithJsonSchema({"type": "string", "examples": ["22:00", "2026-12-24T18:00"]})
]
ZoneName = Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]


class MaintenanceKeys(SettingsModel):
    """The keys of one window of `maintenance`."""

    days: DayNames | None = Field(
        default=None, description="Days on which it begins, as names or ranges such as mon-fri; every day by default"
    )
    start: Moment | None = Field(
        default=None, alias="from", description="Time of day, or date and time, at which it begins; 00:00 by default"
    )
    end: Moment | None = Field(
        default=None,
        alias="to",
        description="The same for its end, which may be on the next day; 24:00 by default, on the same day",
    )
    timezone: ZoneName | None = Field(default=None, description="Time zone of the times; UTC by default")

    @model_validator(mode="after")
    def _check_what_belongs_together(self) -> Self:
        if self.days is None and self.start is None and self.end is None:
            raise ValueError("needs days, or from and to, such as {days: [sun], from: 02:00, to: 04:00}")
        dates = [text for text in (self.start, self.end) if text is not None and not _TIME.fullmatch(text)]
        if dates:
            self._check_dates(dates)
        elif self.start == "24:00":
            raise ValueError("cannot begin at 24:00; write 00:00")
        elif (self.start or "00:00") == self.end:
            raise ValueError("begins when it ends; a whole day is from 00:00 to 24:00")
        return self

    def _check_dates(self, dates: list[str]) -> None:
        if self.start is None or self.end is None or len(dates) == 1:
            raise ValueError("needs a date in both from and to, or in neither")
        if self.days is not None:
            raise ValueError("has dates and days; a window is either weekly or once")
        offsets = [text for text in dates if datetime.fromisoformat(text).tzinfo is not None]
        if offsets and (self.timezone is not None or len(offsets) == 1):
            raise ValueError("has a date with an offset; write offsets in both dates and no timezone, or none at all")
        if _timestamp(self.start, self.zone) >= _timestamp(self.end, self.zone):
            raise ValueError("ends before it begins")

    @property
    def zone(self) -> tzinfo:
        """The time zone of times without an offset."""
        return UTC if self.timezone is None else ZoneInfo(self.timezone)

    def window(self) -> MaintenanceWindow:
        """Return the window."""
        start, end = self.start or "00:00", self.end or "24:00"
        if not _TIME.fullmatch(start):
            return SingleWindow(
                start_timestamp_seconds=_timestamp(start, self.zone), end_timestamp_seconds=_timestamp(end, self.zone)
            )
        days = frozenset(range(len(DAYS))) if self.days is None else self.days
        return WeeklyWindow(days=days, start_minutes=_minutes(start), end_minutes=_minutes(end), zone=self.zone)


@lru_cache(maxsize=1024)
def maintenance_windows(keys: tuple[MaintenanceKeys, ...]) -> tuple[MaintenanceWindow, ...]:
    """Return the windows; checks with equal windows share one object."""
    return tuple(each.window() for each in keys)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _timestamp(text: str, zone: tzinfo) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()
