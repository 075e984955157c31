"""When the next check of a batch may start, and how late the event loop is meanwhile.

Starting everything at once falsifies every duration: each answer then waits in the loop behind all the others. A cap
on how many checks are under way would be wrong as well, since most of them only wait for their targets. So starts are
held back while the loop has work to catch up with, and only then.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

_BUSY_ITERATION_SECONDS = 0.002
"""A pass of the loop that takes longer delays every answer that arrives during it by about as much."""

_LONGEST_HOLD_SECONDS = 0.05
"""A start is held back no longer than this, so that a loop kept busy by somebody else cannot starve a batch."""

_LAG_SAMPLE_SECONDS = 0.05


class Pacer:
    """Paces the starts of one batch on the running loop.

    Attributes:
        start_wait_seconds: For each start so far, how long it was held back.
    """

    def __init__(self) -> None:
        self.start_wait_seconds: list[float] = []

    async def wait_for_turn(self) -> None:
        """Return when the loop is responsive enough for one more check."""
        began = before = perf_counter()
        while True:
            await asyncio.sleep(0)
            now = perf_counter()
            if now - before < _BUSY_ITERATION_SECONDS or now - began > _LONGEST_HOLD_SECONDS:
                break
            before = now
        self.start_wait_seconds.append(now - began)


class LoopLag:
    """Samples how late the loop runs its timers, while a batch is under way.

    Attributes:
        longest_seconds: The latest that a timer was so far.
    """

    def __init__(self) -> None:
        self.longest_seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._arm()

    def _arm(self) -> None:
        self._due = perf_counter() + _LAG_SAMPLE_SECONDS
        self._timer = self._loop.call_later(_LAG_SAMPLE_SECONDS, self._sample)

    def _sample(self) -> None:
        self._look()
        self._arm()

    def _look(self) -> None:
        self.longest_seconds = max(self.longest_seconds, perf_counter() - self._due)

    def stop(self) -> float:
        """End sampling and give the longest lag in seconds; a timer overdue right now counts."""
        self._timer.cancel()
        self._look()
        return self.longest_seconds
