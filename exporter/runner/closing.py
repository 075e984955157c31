"""Closes what a batch opened: bounded in time, shielded and measured, whatever the closing does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import anyio

from exporter.foreign import repr_of

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The outcome of closing one resource of a batch.

    Attributes:
        resource: The check type of the executor, or `http_client`.
        seconds: Time the closing took, or has taken so far.
        failed: Whether it raised or timed out; the error is logged.
    """

    resource: str
    seconds: float
    failed: bool


class Closings:
    """Closes the resources of one batch and records the outcomes; used on its loop, read from any thread."""

    def __init__(
        self, limit_seconds: float, on_left_behind: Callable[[asyncio.Task[bool]], object] = lambda task: None
    ) -> None:
        """Start without closings.

        Args:
            limit_seconds: Time after which a closing is cancelled and no longer awaited.
            on_left_behind: Called with the task of such a closing.
        """
        self._limit_seconds = limit_seconds
        self._on_left_behind = on_left_behind
        self._done: list[Closing] = []
        self._under_way: dict[str, float] = {}

    async def close(self, resource: str, aclose: Callable[[], object]) -> Closing:
        """Close one resource; errors are logged and reported, not raised.

        The closing runs in its own task: cancelling the batch does not reach it, and a closing that ignores its
        cancellation is left behind.

        Args:
            resource: Name for the log and the metric.
            aclose: Closes it; what it returns is awaited if possible.
        """
        started = self._under_way[resource] = perf_counter()
        task = asyncio.create_task(_close(resource, aclose))
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task], timeout=self._limit_seconds)
            if not task.done():
                logger.warning("closing %s was given up after %.3g s", resource, self._limit_seconds)
                task.cancel()
                self._on_left_behind(task)
        closed = task.done() and not task.cancelled() and task.result()
        closing = Closing(resource=resource, seconds=perf_counter() - started, failed=not closed)
        self._done.append(closing)
        del self._under_way[resource]
        return closing

    def so_far(self) -> tuple[Closing, ...]:
        """Return the outcomes so far; a closing that is still in progress counts as failed."""
        now = perf_counter()
        late = [Closing(resource=name, seconds=now - since, failed=True) for name, since in self._under_way.items()]
        return (*self._done, *late)


async def _close(resource: str, aclose: Callable[[], object]) -> bool:
    """Return whether closing succeeded; every exception ends here, because SystemExit in a task stops the loop."""
    try:
        closing = aclose()
        if isinstance(closing, Awaitable):
            await closing
    except BaseException as error:  # noqa: BLE001 - a plugin's fault while closing must not cost any results
        logger.warning("closing %s failed: %s", resource, repr_of(error))
        return False
    return True
