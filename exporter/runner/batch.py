"""The run of one batch on the event loop: opens what it needs, runs the checks, closes everything and reports."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter, thread_time
from typing import TYPE_CHECKING
from weakref import WeakMethod

from exporter.model import Batch
from exporter.runner.executors import Closings
from exporter.runner.fan_out import FanOut
from exporter.runner.opened import OpenedForBatch
from exporter.runner.pacing import Pacer, Pulse
from exporter.runner.stuck import Leftovers

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from exporter.http.shared import HttpShared
    from exporter.model import Check
    from exporter.runner.fan_out import ResultSink
    from exporter.runner.pacing import Workload
    from exporter.runner.registry import ExecutorRegistry
    from exporter.runner.stuck import StuckChecks


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedByBatches:
    """State and limits that all batches of a runner share.

    Attributes:
        registry: The check types.
        http: The network, and the HTTP connections and tokens that outlive a batch.
        stuck: Checks of earlier batches that are still running.
        workload: Estimates of the loop time that checks take.
        buffer_size: Number of results that may wait in the stream of a batch.
    """

    registry: ExecutorRegistry
    http: HttpShared
    stuck: StuckChecks
    workload: Workload
    buffer_size: int


class BatchRun:
    """The run of one batch; created by the calling thread, run once on the loop, reported from any thread.

    Attributes:
        pulse: The heartbeat of the loop during the batch.
        leftovers: Tasks that outlive the batch.
    """

    def __init__(
        self,
        checks: tuple[Check, ...],
        sink: ResultSink,
        budget_seconds: float | None,
        shared: SharedByBatches,
        given_up: Future[None] | None = None,
    ) -> None:
        self.pulse = Pulse()
        self.leftovers = Leftovers()
        self._checks = checks
        self._sink = sink
        self._budget_seconds = budget_seconds
        self._shared = shared
        self._given_up = given_up
        self._began = perf_counter()
        self._pacer = Pacer(shared.workload, len(checks))
        self._closings = Closings(self.leftovers.add)
        needs_client = shared.registry.needs_http_client({check.check_type for check in checks})
        self._opened = OpenedForBatch(shared.registry, shared.http, self._pacer, needs_http_client=needs_client)
        self._fan_out: FanOut | None = None

    async def run(self) -> Batch:
        """Open what the batch needs, run it, close everything whatever happened, and report."""
        self.pulse.start()
        busy_before = thread_time()
        shared, opened = self._shared, self._opened
        await opened.network.refresh()
        self._fan_out = FanOut(
            self._checks,
            opened.executors,
            self._sink,
            shared.stuck,
            self.leftovers,
            pacer=self._pacer,
            buffer_size=shared.buffer_size,
            deadline=None if self._budget_seconds is None else self._began + self._budget_seconds,
        )
        if self._given_up is not None:
            # Weak, because what the caller does with results may refer to the future: then only the garbage collector,
            # which runs rarely, would free the results of the batch.
            end = partial(_stop_soon, asyncio.get_running_loop(), WeakMethod(self._fan_out.stop))
            self._given_up.add_done_callback(lambda _: end())
        try:
            with opened.network.tls.handshake_thread.during_batch(len(self._checks)):
                await self._fan_out.run()
        finally:
            await opened.aclose(self._closings)
            self.pulse.stop()
        shared.workload.learn(thread_time() - busy_before, len(self._checks), self._pacer.handshakes)
        return self.report()

    def report(self, *, cut_off: int = 0) -> Batch:
        """Report on the batch so far.

        Args:
            cut_off: Checks that got a result with reason `deadline` because the caller no longer waits.
        """
        fan_out, closings, opened = self._fan_out, self._closings.so_far(), self._opened
        return Batch(
            checks=len(self._checks),
            duration_seconds=perf_counter() - self._began,
            budget_seconds=self._budget_seconds,
            deadline_exceeded=cut_off + (fan_out.deadline_exceeded if fan_out else 0),
            stuck_checks=tuple(sorted(self._shared.stuck.names())),
            http_client_created=opened.client is not None,
            http_requests=opened.http.counts.requests,
            http_connections_opened=opened.http.counts.opened,
            http_connections_reused=opened.http.counts.reused,
            executors_instantiated=dict(opened.executors.instantiated),
            cleanup_seconds={closing.resource: closing.seconds for closing in closings},
            cleanup_errors=Counter(closing.resource for closing in closings if closing.failed),
            stream_buffer_size=self._shared.buffer_size,
            stream_high_water=fan_out.stream_high_water if fan_out else 0,
            start_wait_seconds=tuple(self._pacer.start_wait_seconds),
            loop_lag_seconds=self.pulse.longest_lag_seconds,
        )


def _stop_soon(loop: asyncio.AbstractEventLoop, stop: WeakMethod[Callable[[], None]]) -> None:
    """Stop a batch from another thread than its loop's; do nothing when the batch or the loop has ended."""
    function = stop()
    if function is not None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(function)
