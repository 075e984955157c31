"""Maintenance windows, weekly or once, during which failures are expected and do not alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import tzinfo

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyWindow:
    """A window on some days of every week, in local time.

    When clocks are put forward, a time that does not exist stands for the moment of the change; when they are put back,
    a window lasts from the first time the clock shows its beginning to the last time it shows its end.

    Attributes:
        days: The days on which it begins; 0 is Monday.
        start_minutes: When it begins, in minutes since midnight.
        end_minutes: When it ends; not after `start_minutes` means the next day.
        zone: The time zone.
    """

    days: frozenset[int]
    start_minutes: int
    end_minutes: int
    zone: tzinfo

    def covers(self, timestamp_seconds: float) -> bool:
        """Return whether a Unix time is within the window."""
        today = datetime.fromtimestamp(timestamp_seconds, self.zone).date()
        return any(self._begins_and_covers(today - timedelta(days=back), timestamp_seconds) for back in (0, 1))

    def _begins_and_covers(self, day: date, timestamp_seconds: float) -> bool:
        if day.weekday() not in self.days or timestamp_seconds < self._timestamp(day, self.start_minutes, fold=0):
            return False
        is_next_day = self.end_minutes <= self.start_minutes
        end_minutes = self.end_minutes + MINUTES_PER_DAY * is_next_day
        return timestamp_seconds < self._timestamp(day, end_minutes, fold=1)

    def _timestamp(self, day: date, minutes: int, *, fold: int) -> float:
        """Return the Unix time at which the clock shows a time; `fold` chooses of two (PEP 495)."""
        shown = datetime.combine(day, time()) + timedelta(minutes=minutes)
        while True:
            moment = shown.replace(tzinfo=self.zone, fold=fold)
            if moment.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None, fold=0) == shown:
                return moment.timestamp()
            shown += timedelta(minutes=1)  # skipped when clocks were put forward, by a whole number of minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleWindow:
    """A window that happens once.

    Attributes:
        start_timestamp_seconds: Unix time of its beginning.
        end_timestamp_seconds: Unix time of its end, which is not part of it.
    """

    start_timestamp_seconds: float
    end_timestamp_seconds: float

    def covers(self, timestamp_seconds: float) -> bool:
        """Return whether a Unix time is within the window."""
        return self.start_timestamp_seconds <= timestamp_seconds < self.end_timestamp_seconds


MaintenanceWindow: TypeAlias = WeeklyWindow | SingleWindow
