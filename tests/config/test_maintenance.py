"""The keys `maintenance` and `enabled`: the times that a window covers, and the effects of disabling a check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from exporter.config import parse_config
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from exporter.model import Check

TYPES = ExecutorRegistry.with_builtins().check_types


def check_with(maintenance: str) -> Check:
    text = f"checks: [{{name: it, type: tcp, target: 'a.example:1', maintenance: {maintenance}}}]"
    [check] = parse_config(text, "checks.yml", TYPES).checks
    return check


def covered(maintenance: str, day: str, zone: str = "UTC") -> str:
    """The covered times of a day, as clocks in a time zone show them: `22:00-23:30` and the like."""
    check, start = check_with(maintenance), datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    moment, last = start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)
    found: list[list[str]] = []
    before = False
    while moment < last:
        now = check.in_maintenance(moment.timestamp())
        shown = moment.astimezone(ZoneInfo(zone)).strftime("%H:%M")
        if now and not before:
            found.append([shown])
        if before and not now:
            found[-1].append(shown)
        before, moment = now, moment + timedelta(minutes=1)
    return " ".join("-".join(times) for times in found)


@pytest.mark.parametrize(
    ("maintenance", "day", "times"),
    [
        ('[{from: "02:00", to: "04:00"}]', "2026-11-30", "02:00-04:00"),
        ("[{from: 22:00, to: 06:00}]", "2026-11-30", "00:00-06:00 22:00"),
        ("[{days: [sun], from: 22:00, to: 06:00}]", "2026-11-29", "22:00"),
        ("[{days: [sun], from: 22:00, to: 06:00}]", "2026-11-30", "00:00-06:00"),
        ("[{days: [sun], from: 22:00, to: 06:00}]", "2026-12-01", ""),
        ("[{days: sat-sun}]", "2026-11-28", "00:00"),
        ("[{days: fri-mon, to: 12:00}]", "2026-11-30", "00:00-12:00"),
        ("[{days: [Tuesday, thu-FRI]}]", "2026-11-30", ""),
        ("[{days: [mon], from: 20:00}]", "2026-11-30", "20:00"),
        ("[{from: 01:00, to: 02:00}, {from: 01:30, to: 03:00}, {from: 05:00, to: 06:00}]", "2026-11-30",
         "01:00-03:00 05:00-06:00"),
        ("[{from: 2026-11-30T18:00, to: 2026-12-02T06:00}]", "2026-11-30", "18:00"),
        ("[{from: 2026-11-30T18:00, to: 2026-12-02T06:00}]", "2026-12-01", "00:00"),
        ("[{from: 2026-11-30T18:00, to: 2026-12-02T06:00}]", "2026-12-02", "00:00-06:00"),
        ("[{from: '2026-11-30 18:00+01:00', to: '2026-11-30T18:30:00Z'}]", "2026-11-30", "17:00-18:30"),
        ("[{from: 2026-11-30T18:00, to: 2026-11-30T19:00, timezone: America/New_York}]", "2026-11-30", "23:00"),
        ("[{from: 2026-11-30T18:00, to: 2026-11-30T19:00, timezone: America/New_York}]", "2026-12-01", ""),
        ("[{days: [mon], from: 09:00, to: 10:00, timezone: Asia/Kolkata}]", "2026-11-30", "03:30-04:30"),
    ],
)  # fmt: skip
def test_a_window_covers_these_times(maintenance: str, day: str, times: str) -> None:
    """Windows may cross midnight, be on some days or dates, be several, and have their own time zones."""
    assert covered(maintenance, day) == times


@pytest.mark.parametrize(
    ("window", "day", "times"),
    [
        ("from: 01:00, to: 04:00", "2026-03-29", "01:00-04:00"),
        ("from: 02:00, to: 03:00", "2026-03-29", ""),
        ("from: 02:30, to: 03:30", "2026-03-29", "03:00-03:30"),
        ("from: 01:30, to: 02:30", "2026-03-29", "01:30-03:00"),
        ("from: 22:00, to: 02:30", "2026-03-29", "00:00-03:00 22:00"),
        ("from: 01:00, to: 04:00", "2026-10-25", "01:00-04:00"),
        ("from: 02:15, to: 02:45", "2026-10-25", "02:15-02:45"),
        ("from: 02:30, to: 03:30", "2026-10-25", "02:30-03:30"),
    ],
)
def test_clocks_that_change_leave_no_gap_in_a_window(window: str, day: str, times: str) -> None:
    """A time that is skipped is the moment of the change; a window at a repeated time begins once."""
    assert covered(f"[{{{window}, timezone: Europe/Berlin}}]", day, "Europe/Berlin") == times


def test_a_window_over_the_repeated_hour_lasts_until_its_second_end() -> None:
    """The clock shows 02:15 to 02:45 twice, and the window lasts from the first time to the last."""
    check = check_with("[{from: 02:15, to: 02:45, timezone: Europe/Berlin}]")
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    minutes = [minute for minute in range(180) if check.in_maintenance((start + timedelta(minutes=minute)).timestamp())]
    assert minutes == list(range(15, 105))


def test_clocks_that_change_at_midnight_do_not_take_a_day_away() -> None:
    """In Cairo, the day of the change begins at 01:00."""
    assert covered("[{days: [fri], timezone: Africa/Cairo}]", "2026-04-24", "Africa/Cairo") == "01:00"


def test_equal_windows_are_one_object() -> None:
    """Ten thousand checks with the same windows store them once, and a page evaluates them once."""
    text = (
        "defaults: {maintenance: [{days: [sun]}]}\nchecks: [{name: '{n}', type: tcp, target: 'a:1', each: {n: [a, b]}}]"
    )
    first, second = parse_config(text, "checks.yml", TYPES).checks
    assert first.maintenance is second.maintenance


def test_a_window_that_is_over_causes_a_warning() -> None:
    """It is allowed, because a file that was good yesterday must not be rejected today."""
    window = "{from: 2020-01-01T00:00, to: 2020-01-02T00:00}"
    text = f"checks: [{{name: it, type: tcp, target: 'a:1', maintenance: [{window}]}}]"
    [warning] = parse_config(text, "checks.yml", TYPES).warnings
    assert str(warning) == "checks.yml:1:61: checks[0].maintenance[0]: is over; it can be removed"


def test_a_disabled_check_is_valid_listed_and_not_run() -> None:
    """It never runs, but the effective configuration has it; a reference can disable a check."""
    text = """
checks:
  - {name: a, type: tcp, target: "a:1", enabled: false}
  - {name: b, type: tcp, target: "a:1", enabled: "${env:ON:-false}"}
  - {name: c, type: tcp, target: "a:1", enabled: "${env:ON:-true}"}
"""
    config = parse_config(text, "checks.yml", TYPES, environment={})
    assert [check.name for check in config.checks] == ["c"]
    assert [check.name for check in config.disabled] == ["a", "b"]
    assert [shown["name"] for shown in config.shown] == ["a", "b", "c"]
    assert "enabled: false" in config.rendered
