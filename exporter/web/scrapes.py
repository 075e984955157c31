"""Answers scrapes: runs a limited number of batches at once, and lets any number of scrapes wait for them.

A collection blocks for as long as the checks take, so it runs in a thread, never on the server's loop, and the number
of threads is limited. A scrape holds no thread while it waits: joining a batch costs nothing, and a scrape whose client
disconnects ends its batch unless other scrapes wait for it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from exporter.web.limits import CLIENT_LEAVES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from concurrent.futures import Future

    from starlette.requests import Request

    from exporter.exposition.page import Page
    from exporter.scrape.in_flight import InFlightBatch
    from exporter.scrape.prepared import PreparedScrape
    from exporter.scrape.service import ScrapeRequest, ScrapeService

    PageKey = tuple[object, ...]

_T = TypeVar("_T")

BATCHES_AT_ONCE = 8
SMALL_BATCHES_AT_ONCE = 100
"""Small batches have separate slots, so that large ones cannot delay them; they are many if each check is a target."""

MOST_CHECKS_OF_SMALL_BATCH = 10
_WRITERS = 2


class BusyError(Exception):
    """Raised when the batch of a scrape could not begin within the time that the scrape can wait."""


class ClientGoneError(Exception):
    """Raised when the client closed its connection before the response."""


class Scrapes:
    """The scrapes in progress; lives as long as the app and belongs to the server's loop."""

    def __init__(self, service: ScrapeService) -> None:
        self._service = service
        self._slots = asyncio.Semaphore(BATCHES_AT_ONCE)
        self._slots_of_small = asyncio.Semaphore(SMALL_BATCHES_AT_ONCE)
        self._batch_threads = anyio.CapacityLimiter(BATCHES_AT_ONCE + SMALL_BATCHES_AT_ONCE)
        self._writer_threads = anyio.CapacityLimiter(_WRITERS)
        self._under_way: set[asyncio.Task[None]] = set()
        self._pages: WeakKeyDictionary[InFlightBatch, dict[PageKey, asyncio.Task[Page]]] = WeakKeyDictionary()

    async def page(self, choose: Callable[[], PreparedScrape], scrape: ScrapeRequest, *, whole: bool) -> Page:
        """Return the page of a scrape.

        Args:
            choose: Selects the checks; called in a worker thread.
            scrape: The request.
            whole: Whether to include the metrics about the exporter.

        Raises:
            BusyError: When its batch has not begun in time.
        """
        async with self._finished_batch(choose, scrape.budget_seconds) as (prepared_scrape, in_flight):
            return await self._written(prepared_scrape, in_flight, scrape, whole=whole)

    async def run(self, choose: Callable[[], PreparedScrape], budget_seconds: float) -> None:
        """Run checks as a scrape would, for their records alone.

        Args:
            choose: Selects the checks; called in a worker thread.
            budget_seconds: Time for all of them.

        Raises:
            BusyError: When their batch has not begun in time.
        """
        async with self._finished_batch(choose, budget_seconds) as (_, in_flight):
            in_flight.outcome.result()

    @asynccontextmanager
    async def _finished_batch(
        self, choose: Callable[[], PreparedScrape], budget_seconds: float
    ) -> AsyncIterator[tuple[PreparedScrape, InFlightBatch]]:
        """Join or start a batch of the chosen checks, and wait until its outcome is set."""
        prepared_scrape = await anyio.to_thread.run_sync(choose, limiter=self._writer_threads)
        ticket = self._service.join(prepared_scrape, budget_seconds)
        in_flight = ticket.in_flight
        try:
            if ticket.is_first:
                task = asyncio.create_task(self._run_batch(prepared_scrape, in_flight))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            if not in_flight.started.done():
                await self._wait_for_start(in_flight, ticket.longest_wait_seconds)
            await _done(in_flight.outcome)
            yield prepared_scrape, in_flight
        finally:
            prepared_scrape.in_flight.leave(ticket)

    async def _run_batch(self, prepared_scrape: PreparedScrape, in_flight: InFlightBatch) -> None:
        """Run a batch in a thread as soon as one is free; the thread ends with the batch, even if nothing waits."""
        is_small = len(prepared_scrape.collector.layout.checks) <= MOST_CHECKS_OF_SMALL_BATCH
        async with self._slots_of_small if is_small else self._slots:
            if not in_flight.is_over:
                await anyio.to_thread.run_sync(
                    self._service.run_batch,
                    prepared_scrape,
                    in_flight,
                    abandon_on_cancel=True,
                    limiter=self._batch_threads,
                )

    async def _wait_for_start(self, in_flight: InFlightBatch, limit_seconds: float) -> None:
        try:
            await asyncio.wait_for(_done(in_flight.started), limit_seconds)
        except TimeoutError:
            raise BusyError from None

    async def _written(
        self, prepared_scrape: PreparedScrape, in_flight: InFlightBatch, scrape: ScrapeRequest, *, whole: bool
    ) -> Page:
        """Write the page in a thread; scrapes that ask for the same page share it."""
        outcome = in_flight.outcome.result()
        pages = self._pages.setdefault(in_flight, {})
        key = (whole, scrape.exposition_format, scrape.compress, scrape.names)
        if key not in pages:
            pages[key] = asyncio.create_task(
                anyio.to_thread.run_sync(
                    lambda: self._service.write(prepared_scrape, outcome, scrape, whole=whole),
                    limiter=self._writer_threads,
                )
            )
        return await asyncio.shield(pages[key])


async def _done(future: Future[_T]) -> None:
    """Wait until a future of another thread is done; cancelling the wait does not affect the future."""
    loop, is_done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: Future[_T]) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(is_done.set)

    future.add_done_callback(wake)
    await is_done.wait()


async def unless_client_leaves(request: Request, work: Coroutine[object, object, _T]) -> _T:
    """Return the result of the work; cancel it when the client closes its connection.

    Raises:
        ClientGoneError: When the client has closed its connection.
    """
    task, is_working = asyncio.current_task(), True
    assert task is not None  # noqa: S101 - this is a coroutine of one
    leaving: asyncio.Future[None] = request.scope["state"][CLIENT_LEAVES]

    def cancel(_: asyncio.Future[None]) -> None:
        if is_working:
            task.cancel()

    leaving.add_done_callback(cancel)
    try:
        return await work
    except asyncio.CancelledError:
        if not leaving.done() or task.uncancel():
            raise
        raise ClientGoneError from None
    finally:
        is_working = False
        leaving.remove_done_callback(cancel)
