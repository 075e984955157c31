"""Keeps the recent probes of targets from requests, failed ones longer than the others."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from exporter.model import ResultStatus
from exporter.scrape.bounded_logs import bounded_log

if TYPE_CHECKING:
    from exporter.blackbox.page import ProbePages
    from exporter.model import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A finished probe.

    Attributes:
        number: Its number since the start, from 1.
        pages: The pages of its module.
        target: The target as it is shown.
        result: Its result.
        recorded_timestamp_seconds: Unix time when it was recorded.
    """

    number: int
    pages: ProbePages
    target: str
    result: Result
    recorded_timestamp_seconds: float

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.result.status is ResultStatus.ERROR


class ProbeHistory:
    """The last probes, and as many failed ones from before them; lives for the process, shared by threads."""

    def __init__(self, limit: int = 100) -> None:
        """Keep this many probes, and the same number of failed ones besides."""
        self._limit = limit
        self._newest: OrderedDict[int, Probed] = OrderedDict()
        self._failed: OrderedDict[int, Probed] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def record(self, pages: ProbePages, target: str, result: Result) -> None:
        """Record a probe, replacing the oldest."""
        log = bounded_log(result.log)
        if log is not result.log:
            result = replace(result, log=log)
        now_seconds = time.time()
        with self._lock:
            self._count += 1
            self._newest[self._count] = Probed(
                number=self._count, pages=pages, target=target, result=result, recorded_timestamp_seconds=now_seconds
            )
            while len(self._newest) > self._limit:
                number, oldest = self._newest.popitem(last=False)
                if oldest.failed:
                    self._failed[number] = oldest
            while len(self._failed) > self._limit:
                self._failed.popitem(last=False)

    def get(self, number: int) -> Probed | None:
        """Return the probe of a number; None when it is not kept."""
        with self._lock:
            return self._newest.get(number) or self._failed.get(number)

    def find(self, target: str, module: str = "") -> Probed | None:
        """Return the newest probe of a target, and of a module where it is not empty; None when none is kept."""
        for probed in self.probes():
            if probed.target == target and module in ("", probed.pages.module.name):
                return probed
        return None

    def probes(self) -> tuple[Probed, ...]:
        """Return the kept probes, newest first."""
        with self._lock:
            return tuple(reversed((*self._failed.values(), *self._newest.values())))
