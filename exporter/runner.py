"""Runs a batch of checks for a synchronous caller: AsyncCheckRunner and what it shares between batches.

How a batch flows: the caller's thread enters the portal and blocks. On the portal's loop a producer starts the checks,
paced, in a task group; each sends its Result into a bounded memory stream; a consumer reads the stream while the
producer is still starting checks and hands what has queued up to `result_received` in a worker thread. When the last
result is through, the executors and the HTTP client of the batch are closed and the Batch report is returned.

What this module leaves to others: the time limit and attempts of one check (`exporter.execution`), the verdict
(`exporter.verdict`), the pace (`exporter.pacing`), exactly-once delivery (`exporter.delivery`).
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import CancelledError, Future
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Protocol

from exporter.checks.base import BatchContext
from exporter.delivery import Delivery
from exporter.fan_out import FanOut
from exporter.model import Batch, Reason
from exporter.net import Network
from exporter.net.http_client import create_client
from exporter.pacing import Pacer, Pulse, Workload
from exporter.registry import ExecutorRegistry, close_resource
from exporter.stuck import StuckChecks
from exporter.verdict import unjudged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anyio.from_thread import BlockingPortal, BlockingPortalProvider

    from exporter.model import Check, Result
    from exporter.registry import Closing

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 0.2
"""How long after its deadline a batch may go on before the caller looks whether the loop is alive: a little more than
the grace of a cancelled check. It looks again as often."""


class CheckRunner(Protocol):
    """Runs checks and hands over each result; the contract between the synchronous callers and the runner."""

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
    ) -> Batch:
        """Run all checks, call `result_received` once per check, and report on the batch."""


class AsyncCheckRunner:
    """A CheckRunner that runs checks concurrently on an AnyIO event loop; lives for the process, shared by threads.

    Batches may overlap; they share recipes, TLS contexts and the memory of stuck checks, and nothing else.
    """

    def __init__(
        self,
        portal_provider: BlockingPortalProvider,
        registry: ExecutorRegistry | None = None,
        *,
        buffer_size: int = 100,
        cleanup_limit_seconds: float = 0.25,
        network: Network | None = None,
    ) -> None:
        """Make a runner.

        Args:
            portal_provider: Where the event loop comes from. Whoever holds a lease of it keeps the loop warm between
                batches; without one, each batch starts a loop and ends it.
            registry: The check types; the built-in ones by default.
            buffer_size: Results that may wait in the stream. Any size from 0 is correct; small ones hold checks back.
            cleanup_limit_seconds: Time that closing the executors, and then the client, may take.
            network: What batches share to reach their targets.
        """
        if buffer_size < 0:
            raise ValueError(f"buffer_size is {buffer_size}; it must be 0 or more")
        self.portal_provider = portal_provider
        self.registry = registry if registry is not None else ExecutorRegistry.with_builtins()
        self._network = network if network is not None else Network()
        self._buffer_size = buffer_size
        self._cleanup_limit_seconds = cleanup_limit_seconds
        self._stuck = StuckChecks(portal_provider)
        self._workload = Workload()

    @property
    def stuck_checks(self) -> frozenset[str]:
        """Names of the checks that ignored their cancellation and still run."""
        return self._stuck.names()

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
    ) -> Batch:
        """Run all checks and hand over each result exactly once, as the checks finish.

        Args:
            checks: What to run; an empty batch is a batch.
            result_received: Called with one result at a time, in a worker thread. An exception it raises ends the
                batch and is raised here after everything has been closed.
            budget_seconds: Time for all checks; those not done by then get a result with reason `deadline`.

        Raises:
            UnknownCheckTypeError: When a type has no executor; nothing has been started then.
        """
        batch_checks = tuple(checks)
        self.registry.require(check.check_type for check in batch_checks)
        delivery = Delivery(batch_checks, result_received)
        started = perf_counter()
        with self.portal_provider as portal:
            batch = self._wait_for(portal, batch_checks, delivery, budget_seconds)
            if batch is None:
                # Leaving would wait for a loop that does not answer, so its lease is kept for good.
                self.portal_provider.__enter__()
            self._stuck.keep_loop_alive()
        if batch is not None:
            return batch
        missing = delivery.close(_runner_failed)
        logger.error("the event loop does not answer; %d checks have no result of their own", missing)
        return Batch(
            checks=len(batch_checks),
            duration_seconds=perf_counter() - started,
            budget_seconds=budget_seconds,
            stuck_checks=tuple(sorted(self.stuck_checks)),
            stream_buffer_size=self._buffer_size,
        )

    def _wait_for(
        self, portal: BlockingPortal, checks: tuple[Check, ...], delivery: Delivery, budget_seconds: float | None
    ) -> Batch | None:
        """Wait for the batch, but not on a loop that has stopped; None when it has.

        The portal is called from a thread of its own, because even handing it a task waits for the loop.
        """
        pulse = Pulse()
        outcome: Future[Batch] = Future()

        def call_portal() -> None:
            try:
                outcome.set_result(portal.call(self._async_run_all, checks, delivery, budget_seconds, pulse))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                outcome.set_exception(error)

        threading.Thread(target=call_portal, name="nyxmon-batch", daemon=True).start()
        patience = None if budget_seconds is None else budget_seconds + _PATIENCE_SECONDS
        while True:
            try:
                return outcome.result(patience)
            except TimeoutError:
                if outcome.done():
                    raise
                if pulse.is_silent():
                    return None
                patience = _PATIENCE_SECONDS
            except (RuntimeError, CancelledError):
                if pulse.started:
                    raise
                return None  # the portal has ended

    async def _async_run_all(
        self, checks: tuple[Check, ...], delivery: Delivery, budget_seconds: float | None, pulse: Pulse
    ) -> Batch:
        """Make what the batch needs, run it, close everything whatever happened, and report."""
        started = perf_counter()
        pulse.start()
        busy_before = thread_time()
        pacer = Pacer(self._workload, len(checks))
        network = self._network.for_batch(pacer)
        await network.refresh()
        needs_client = self.registry.needs_http_client({check.check_type for check in checks})
        client = create_client(network) if needs_client else None
        executors = self.registry.for_batch(BatchContext(http_client=client, network=network))
        fan_out = FanOut(
            checks,
            executors,
            delivery,
            self._stuck,
            pacer=pacer,
            buffer_size=self._buffer_size,
            deadline=None if budget_seconds is None else started + budget_seconds,
        )
        closings: list[Closing] = []
        try:
            await fan_out.run()
        finally:
            closings += await executors.aclose_all(self._cleanup_limit_seconds)
            if client is not None:
                closings.append(await close_resource("http_client", client.aclose, self._cleanup_limit_seconds))
            pulse.stop()
        self._workload.learn(thread_time() - busy_before, len(checks), pacer.handshakes)
        return Batch(
            checks=len(checks),
            duration_seconds=perf_counter() - started,
            budget_seconds=budget_seconds,
            deadline_exceeded=fan_out.deadline_exceeded,
            stuck_checks=tuple(sorted(self.stuck_checks)),
            http_client_created=client is not None,
            http_requests=network.counts.requests,
            http_connections_opened=network.counts.opened,
            http_connections_reused=network.counts.reused,
            executors_instantiated=dict(executors.instantiated),
            cleanup_seconds={closing.resource: closing.seconds for closing in closings},
            cleanup_errors=Counter(closing.resource for closing in closings if closing.failed),
            stream_buffer_size=self._buffer_size,
            stream_high_water=fan_out.stream_high_water,
            start_wait_seconds=tuple(pacer.start_wait_seconds),
            loop_lag_seconds=pulse.longest_lag_seconds,
        )


def _runner_failed(check: Check) -> Result:
    return unjudged(check, Reason.RUNNER, "the event loop that runs the checks stopped answering")
