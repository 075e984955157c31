"""How many scrapes run at once: each has a worker thread of its own, the rest wait a little and are then refused.

The collector blocks for as long as the checks take, so it never runs on the server's loop. The threads are bounded by
a limiter of their own, because AnyIO's default one is shared with everything else.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_Answer = TypeVar("_Answer")

SCRAPES_AT_ONCE = 8
_LONGEST_WAIT_SHARE = 0.25


class BusyError(Exception):
    """Raised when no worker became free in the time that a scrape can spare for waiting."""


class ScrapeSlots:
    """The workers that scrapes run in; lives as long as the app and belongs to the server's loop."""

    def __init__(self, limit: int = SCRAPES_AT_ONCE) -> None:
        self._slots = anyio.Semaphore(limit)
        self._threads = anyio.CapacityLimiter(limit)

    async def run(self, budget_seconds: float, work: Callable[[float], _Answer]) -> _Answer:
        """Run the work in a worker thread, with what waiting for the worker has left of the budget.

        A cancelled caller, as at the end of a stop that took too long, does not wait for the thread.

        Args:
            budget_seconds: Time for waiting and work; a quarter of it may go into waiting.
            work: Gets the seconds that are left to it.

        Raises:
            BusyError: When the quarter has gone by.
        """
        started = perf_counter()
        try:
            with anyio.fail_after(budget_seconds * _LONGEST_WAIT_SHARE):
                await self._slots.acquire()
        except TimeoutError:
            raise BusyError from None
        try:
            left_seconds = budget_seconds - (perf_counter() - started)
            return await anyio.to_thread.run_sync(work, left_seconds, abandon_on_cancel=True, limiter=self._threads)
        finally:
            self._slots.release()
