"""Combines probes that are requested at about the same time into batches.

A batch occupies a thread and costs more than most probes. Therefore, while batches are running, a probe waits a few
milliseconds for others to join it. An exporter that is not busy starts a probe at once.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from exporter.web.scrapes import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.model import Result
    from exporter.scrape.probe_requests import Probe
    from exporter.scrape.probes import Probes

BATCHES_AT_ONCE = 100
"""Each occupies a thread; further probes wait until one of them ends."""

_GATHERING_SECONDS_PER_BATCH, _MOST_GATHERING_SECONDS = 0.001, 0.02
"""How long to wait for more probes: the more batches are running, the more is gained by not adding another."""

_LONGEST_WAIT_SHARE = 0.25


class ProbeBatches:
    """The probes that wait and run; lives as long as the app and belongs to the server's loop."""

    def __init__(self, probes: Probes, limit: int = BATCHES_AT_ONCE) -> None:
        """Run probes in at most this many batches at once."""
        self._probes = probes
        self._limit = limit
        self._waiting: list[_Asked] = []
        self._running: set[asyncio.Task[None]] = set()
        self._threads = anyio.CapacityLimiter(math.inf)  # `limit` bounds them
        self._start_is_due = False

    async def result(self, probe: Probe) -> Result:
        """Run a probe and return its result; cancelling this abandons the probe.

        Raises:
            BusyError: When its batch has not begun after a quarter of the probe's time limit.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(probe, loop.create_future())
        self._waiting.append(asked)
        self._plan_start()
        timer = loop.call_later(probe.timeout_seconds * _LONGEST_WAIT_SHARE, self._refuse, asked)
        try:
            return await asked.outcome
        finally:
            timer.cancel()
            self._leave(asked)

    def _plan_start(self) -> None:
        if self._waiting and not self._start_is_due and len(self._running) < self._limit:
            self._start_is_due = True
            delay_seconds = min(len(self._running) * _GATHERING_SECONDS_PER_BATCH, _MOST_GATHERING_SECONDS)
            asyncio.get_running_loop().call_later(delay_seconds, self._start)

    def _start(self) -> None:
        """Start a batch of the probes that wait."""
        self._start_is_due = False
        batch = _ProbeBatch(self._waiting)
        self._waiting = []
        if batch.asked_by_name:
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def _run(self, batch: _ProbeBatch) -> None:
        """Run a batch in a thread; results are passed to the loop as they become known."""
        loop = asyncio.get_running_loop()

        def finished(name: str, result: Result) -> None:
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(batch.finished, name, result)

        try:
            await anyio.to_thread.run_sync(
                self._probes.run_all,
                batch.probes(),
                finished,
                batch.given_up,
                abandon_on_cancel=True,
                limiter=self._threads,
            )
        except Exception as error:  # noqa: BLE001 - every request of the batch reports it
            batch.failed(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._plan_start()

    def _refuse(self, asked: _Asked) -> None:
        if asked in self._waiting and not asked.outcome.done():
            asked.outcome.set_exception(BusyError())

    def _leave(self, asked: _Asked) -> None:
        if asked.batch is not None:
            asked.batch.left()
        elif asked in self._waiting:
            self._waiting.remove(asked)


class _Asked:
    """A request for a probe; lives as long as it waits for the result."""

    def __init__(self, probe: Probe, outcome: asyncio.Future[Result]) -> None:
        self.probe = probe
        self.outcome = outcome
        self.batch: _ProbeBatch | None = None


class _ProbeBatch:
    """Probes that run together.

    Attributes:
        asked_by_name: The requests by the name of their probe; equal probes are numbered.
        given_up: Done once nobody waits for any of them.
    """

    def __init__(self, asked: Iterable[_Asked]) -> None:
        self.asked_by_name: dict[str, _Asked] = {}
        self.given_up: Future[None] = Future()
        seen: Counter[str] = Counter()
        for each in asked:
            name = each.probe.name
            seen[name] += 1
            self.asked_by_name[name if seen[name] == 1 else f"{name} ({seen[name]})"] = each
            each.batch = self
        self._awaited = len(self.asked_by_name)

    def probes(self) -> dict[str, Probe]:
        """Return the probes under the names that they have in this batch."""
        return {name: asked.probe.named(name) for name, asked in self.asked_by_name.items()}

    def finished(self, name: str, result: Result) -> None:
        """Pass a result to its request, unless that has been abandoned."""
        outcome = self.asked_by_name[name].outcome
        if not outcome.done():
            outcome.set_result(result)

    def failed(self, error: Exception) -> None:
        """Let every request that has no result fail."""
        for outcome in self._outcomes():
            outcome.set_exception(error)

    def left(self) -> None:
        """Record that one request no longer waits; the batch is cancelled with the last one."""
        self._awaited -= 1
        if not self._awaited:
            self.given_up.set_result(None)

    def _outcomes(self) -> Iterator[asyncio.Future[Result]]:
        return (asked.outcome for asked in self.asked_by_name.values() if not asked.outcome.done())
