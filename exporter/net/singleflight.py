"""Do work that several checks of a batch need once, and cancel it when no check waits for it."""

from __future__ import annotations

import asyncio
from contextvars import Context
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from exporter.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Results by key; lives as long as the batch, on one event loop.

    The first caller for a key starts its work; later ones wait for the same result. A waiting check may be cancelled
    without affecting the others; the work itself is cancelled with the last of them. Results are kept. A failure is
    raised in every attempt that began before it happened, and in none that begins later, so that a retry does the work
    again.
    """

    def __init__(self) -> None:
        self._work: dict[K, _Work[V]] = {}

    async def result(self, key: K, start: Callable[[], Coroutine[Any, Any, V]], since: float) -> V:
        """Return the result for a key.

        Args:
            key: Identifies the work.
            start: Makes the work if there is none yet.
            since: `perf_counter()` when the caller's attempt began; earlier failures do not count.

        Raises:
            CheckFailed: When the work raised it; every waiting caller gets a separate exception.
        """
        work = self._work.get(key)
        if work is None or work.failed_before(since):
            work = self._work[key] = _Work(start)
        if not work.task.done():
            await self._wait(key, work)
        outcome = work.task.result()
        if isinstance(outcome, CheckFailed):
            raise outcome.fresh_copy()
        return outcome

    async def _wait(self, key: K, work: _Work[V]) -> None:
        work.waiting += 1
        try:
            await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting and not work.task.done():
                work.task.cancel()
                if self._work.get(key) is work:
                    del self._work[key]


class _Work(Generic[V]):
    """One piece of work, running or done."""

    __slots__ = ("failed_at", "task", "waiting")

    def __init__(self, start: Callable[[], Coroutine[Any, Any, V]]) -> None:
        self.waiting = 0
        self.failed_at = 0.0
        # A separate context: what is logged during the work must not end up in the attempt of the first caller.
        self.task: asyncio.Task[V | CheckFailed] = asyncio.get_running_loop().create_task(
            self._run(start), context=Context()
        )

    async def _run(self, start: Callable[[], Coroutine[Any, Any, V]]) -> V | CheckFailed:
        try:
            return await start()
        except CheckFailed as failure:
            self.failed_at = perf_counter()
            return failure

    def failed_before(self, moment: float) -> bool:
        """Whether the work had failed before a `perf_counter()` value."""
        return 0.0 < self.failed_at < moment
