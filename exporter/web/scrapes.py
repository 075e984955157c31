"""How scrapes get their pages: few batches at once, any number of scrapes that wait for them, none that wait in vain.

A collection blocks for as long as the checks take, so it runs in a thread, never on the server's loop, and only so many
run at once. A scrape holds no thread while it waits: one that joins a batch costs nothing, and one whose client has
gone ends its batch unless others wait for it too.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from exporter.exposition.negotiation import choose_format, wants_gzip

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from starlette.requests import Request

    from exporter.exposition.text_format import Page
    from exporter.scrape.in_flight import InFlightBatch
    from exporter.scrape.prepared import PreparedScrape
    from exporter.scrape.service import ScrapeRequest, ScrapeService

    PageKey = tuple[object, ...]

_T = TypeVar("_T")

BATCHES_AT_ONCE = 8
_LONGEST_WAIT_SHARE = 0.25
_WRITERS = 2


class BusyError(Exception):
    """Raised when the batch of a scrape could not begin in the time that it can spare for waiting."""


class ClientGoneError(Exception):
    """Raised when the client closed its connection before it was answered."""


class Scrapes:
    """The scrapes under way; lives as long as the app and belongs to the server's loop."""

    def __init__(self, service: ScrapeService, limit: int = BATCHES_AT_ONCE) -> None:
        self._service = service
        self._slots = asyncio.Semaphore(limit)
        self._batch_threads = anyio.CapacityLimiter(limit)
        self._writer_threads = anyio.CapacityLimiter(_WRITERS)
        self._under_way: set[asyncio.Task[None]] = set()
        self._pages: WeakKeyDictionary[InFlightBatch, dict[PageKey, asyncio.Task[Page]]] = WeakKeyDictionary()

    async def page(self, choose: Callable[[], PreparedScrape], scrape: ScrapeRequest, *, whole: bool) -> Page:
        """Return the page that a scrape asks for.

        Args:
            choose: Finds the checks; called in a worker thread.
            scrape: What it asks for.
            whole: Whether the page is about the exporter as well.

        Raises:
            BusyError: When its batch has not begun after a quarter of its budget.
        """
        choice = await anyio.to_thread.run_sync(choose, limiter=self._writer_threads)
        ticket = self._service.board(choice, scrape.budget_seconds)
        flight = ticket.flight
        try:
            if ticket.is_first:
                task = asyncio.create_task(self._fly(choice, flight))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            if not flight.took_off.done():
                await self._wait_for_take_off(flight, scrape.budget_seconds * _LONGEST_WAIT_SHARE)
            await _done(flight.outcome)
            return await self._written(choice, flight, scrape, whole=whole)
        finally:
            choice.flights.leave(ticket)

    async def _fly(self, choice: PreparedScrape, flight: InFlightBatch) -> None:
        """Run a batch in a thread as soon as there is one; the thread ends with the batch, even when nobody waits."""
        async with self._slots:
            if not flight.given_up.done():
                await anyio.to_thread.run_sync(
                    self._service.fly, choice, flight, abandon_on_cancel=True, limiter=self._batch_threads
                )

    async def _wait_for_take_off(self, flight: InFlightBatch, limit_seconds: float) -> None:
        try:
            await asyncio.wait_for(_done(flight.took_off), limit_seconds)
        except TimeoutError:
            raise BusyError from None

    async def _written(
        self, choice: PreparedScrape, flight: InFlightBatch, scrape: ScrapeRequest, *, whole: bool
    ) -> Page:
        """Write the page in a thread; scrapes that want the same one share it."""
        outcome = flight.outcome.result()
        pages = self._pages.setdefault(flight, {})
        key = (whole, choose_format(scrape.accept), wants_gzip(scrape.accept_encoding), scrape.names)
        if key not in pages:
            pages[key] = asyncio.create_task(
                anyio.to_thread.run_sync(
                    lambda: self._service.write(choice, outcome, scrape, whole=whole), limiter=self._writer_threads
                )
            )
        return await asyncio.shield(pages[key])


async def _done(future: Future[_T]) -> None:
    """Wait until a future of another thread is done; a cancelled wait leaves it alone."""
    loop, is_done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: Future[_T]) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(is_done.set)

    future.add_done_callback(wake)
    await is_done.wait()


async def unless_client_leaves(request: Request, work: Coroutine[object, object, _T]) -> _T:
    """Return what comes of the work; end it when the client closes its connection meanwhile.

    Raises:
        ClientGoneError: When it has.
    """
    working = asyncio.create_task(work)
    working.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to take it
    leaving = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
