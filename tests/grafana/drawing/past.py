"""Hours of data in minutes: an exporter is scraped often, and a Prometheus gets its pages as if that had been seldom.

Prometheus evaluates alerting rules only as time passes, so what NyxmonCheckFailing would have written is added here: a
check that has been failing for two minutes. Staleness markers cannot be written either, so queries must not look back
far to see that a series has ended.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import http_get
from tests.servers.prometheus import promtool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.exporter import Exporter

SCRAPE_SECONDS = 60.0
"""The interval of scrapes, as Prometheus sees it."""

_JOB = 'job="nyxmon",instance="exporter:10115"'
_FAILING_SECONDS = 120.0
_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_MOMENT = re.compile(
    r"probe_state_since_timestamp_seconds|nyxmon_exporter_\w*timestamp_seconds|process_start_time_seconds"
)


class Past:
    """The pages of an exporter with the times that they are given; lives for one recording.

    Attributes:
        end: Unix time of the last page; times of pages are whole multiples of the interval.
        hours: How long ago the first one is.
        haste: Seconds of the past for a second of the recording.
    """

    def __init__(self, hours: float, seconds: float) -> None:
        """Begin now.

        Args:
            hours: How long the past is.
            seconds: How long the recording takes.
        """
        self.hours = hours
        self.haste = hours * 3600 / seconds
        self._begin = time.time()
        self._now = self._begin + seconds
        self.end = 0.0
        self._lines: list[str] = []

    def _moved(self, moment: float) -> float:
        """The time in the past for a time of the recording."""
        return self._now - self.hours * 3600 + (moment - self._begin) * self.haste

    def add(self, page: str, begin: float, seconds: float) -> None:
        """Add a page that was requested at a Unix time and took so many seconds."""
        now = round(self._moved(begin) / SCRAPE_SECONDS) * SCRAPE_SECONDS
        if now == self.end:
            return
        self.end = now
        self._add("up", "", 1, now)
        self._add("scrape_duration_seconds", "", seconds, now)
        since: dict[str, float] = {}
        for name, labels, text in _LINE.findall(page):
            value = self._moved(float(text)) if _MOMENT.fullmatch(name) else float(text)
            self._add(name, labels, value, now)
            if name == "probe_state_since_timestamp_seconds":
                since[labels] = value
            if name == "probe_status" and value == 2:
                since.setdefault(f"failing {labels}", 0.0)
        for labels in [each.removeprefix("failing ") for each in since if each.startswith("failing ")]:
            if now - since[labels] >= _FAILING_SECONDS:
                alert = f'{labels},alertname="NyxmonCheckFailing",severity="critical"'
                self._add("ALERTS", f'{alert},alertstate="firing"', 1, now)
                self._add("ALERTS_FOR_STATE", alert, since[labels], now)

    def write(self, directory: Path) -> None:
        """Write all pages as blocks of Prometheus' storage."""
        directory.parent.mkdir(parents=True, exist_ok=True)
        file = directory.with_suffix(".openmetrics")
        file.write_text("\n".join((*self._lines, "# EOF\n")), encoding="utf-8")
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", str(file), str(directory))

    def _add(self, name: str, labels: str, value: float, now: float) -> None:
        text = repr(value).replace("nan", "NaN").replace("inf", "+Inf")
        self._lines.append(f"{name}{{{f'{labels},' if labels else ''}{_JOB}}} {text} {now:.3f}")


@contextmanager
def recorded(exporter: Exporter, past: Past) -> Iterator[None]:
    """Scrape an exporter until the end of the block, at the interval that the past has."""
    is_over = threading.Event()
    interval = SCRAPE_SECONDS / past.haste

    def scrape() -> None:
        while not is_over.wait(interval - time.time() % interval):
            begin = time.time()
            status, page = http_get(exporter.port, "/metrics")
            assert status == 200, page
            past.add(page, begin, time.time() - begin)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
