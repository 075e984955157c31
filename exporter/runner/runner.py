"""Runs batches of checks for synchronous callers: AsyncCheckRunner and what it shares between batches.

While a batch runs, the caller's thread waits. On the portal's loop a producer starts the checks, paced, in a task
group. Each check sends its Result to a bounded memory stream. A consumer reads the stream while the producer is still
starting checks, and hands queued results to `result_received` in a worker thread. After the last result, the executors
and the HTTP client of the batch are closed and the Batch report is returned. When time is up, the caller takes the
results that exist and returns, whatever the loop is doing.

Other modules handle what happens on the loop (`batch`), which loop that is (`loops`), the time limit and attempts of
one check (`execution`), the verdict (`verdict`), the pace (`pacing`), and exactly-once delivery (`fan_out`).
"""

from __future__ import annotations

import logging
from concurrent.futures import wait
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from exporter.http.shared import HttpShared
from exporter.model import Check, Reason
from exporter.quantities import counted
from exporter.runner.batch import BatchRun, SharedByBatches
from exporter.runner.completion import Completion
from exporter.runner.execution import LOOP_BROKE
from exporter.runner.fan_out import ResultSink
from exporter.runner.loops import BLOCKED_LIMIT_SECONDS, Loops
from exporter.runner.pacing import Workload
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.stuck import StuckChecks
from exporter.runner.verdict import not_run
from exporter.runner.watch import LOOK_SECONDS, LoopWatch, culprit_text, find_blocker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from anyio.from_thread import BlockingPortalProvider

    from exporter.model import Batch, Result
    from exporter.net import Network
    from exporter.runner.loops import LoopCall
    from exporter.runner.watch import Blocker

logger = logging.getLogger(__name__)

_LEAST_PATIENCE_SECONDS, _MOST_PATIENCE_SECONDS = 0.03, 0.2
_PATIENCE_SHARE = 1 / 32
"""How long to wait for a batch after its deadline, as a share of its budget, so that cut-off checks can clean up and
executors can be closed. Less than a third of the time between deadline and answer at a scrape timeout of 1 s."""

_CLOSING_LIMIT_SECONDS = 0.5

_BLOCKED_BY_CHECK_SECONDS = 0.1
_BLOCKED_SECONDS = 0.5
"""A loop that has not run a timer for this long is blocked, even if no blocking check is found."""


class CheckRunner(Protocol):
    """Runs checks and hands over each result; the contract between synchronous callers and the runner."""

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
        given_up: Future[None] | None = None,
    ) -> Batch:
        """Run all checks, call `result_received` once per check, and return the report on the batch."""


class AsyncCheckRunner:
    """A CheckRunner that runs checks concurrently on an AnyIO event loop; lives for the process, shared by threads.

    Batches may overlap; they share only recipes, TLS contexts and the record of stuck checks.
    """

    def __init__(
        self,
        portal_provider: BlockingPortalProvider,
        registry: ExecutorRegistry | None = None,
        *,
        buffer_size: int = 100,
        network: Network | None = None,
        blocked_limit_seconds: float = BLOCKED_LIMIT_SECONDS,
    ) -> None:
        """Create a runner.

        Args:
            portal_provider: Provides the event loop. A lease of it keeps the loop running between batches; without
                one, each batch starts a loop and ends it.
            registry: The check types; the built-in ones by default.
            buffer_size: Results that may wait in the stream. Any size from 0 is correct; small ones hold checks back.
            network: The network that all batches share.
            blocked_limit_seconds: How long the event loop may be blocked before later batches get a new one.
        """
        if buffer_size < 0:
            raise ValueError(f"buffer_size is {buffer_size}; it must be 0 or more")
        self.portal_provider = portal_provider
        self.registry = registry if registry is not None else ExecutorRegistry.with_builtins()
        self._completion = Completion(self.registry.self_run_types)
        self._stuck = StuckChecks(self.registry.check_threads)
        self._blocked_limit_seconds = blocked_limit_seconds
        self._loops = Loops(portal_provider, self._abandoned, blocked_limit_seconds)
        self._shared = SharedByBatches(
            registry=self.registry,
            http=HttpShared(network),
            stuck=self._stuck,
            workload=Workload(),
            buffer_size=buffer_size,
        )

    @property
    def stuck_checks(self) -> frozenset[str]:
        """Names of the checks that ignored their cancellation and are still running."""
        return self._stuck.names()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that last ran checks; None before the first batch."""
        return self._loops.loop

    @property
    def replaced_loops(self) -> int:
        """Number of event loops given up because a check type stopped or blocked them."""
        return self._loops.replaced

    def hold_loop(self) -> AbstractContextManager[None]:
        """Keep the event loop running between batches, for the duration of a `with` block."""
        return self._loops.held()

    def trouble(self) -> str:
        """Return why no check can run right now, in one sentence; empty when checks can run.

        Takes up to a second when the event loop does not answer.
        """
        return self._loops.trouble()

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
        given_up: Future[None] | None = None,
    ) -> Batch:
        """Run all checks and hand over each result exactly once, as the checks finish.

        Args:
            checks: The checks to run; may be empty. Checks created in Python get the default expectations of their
                type.
            result_received: Called with one result at a time, in a worker thread. An exception it raises ends the
                batch and is raised here after everything has been closed.
            budget_seconds: Time for all checks; those not done by then get a result with reason `deadline`.
            given_up: When this future completes, the batch ends, and checks without a result get a substitute.

        Raises:
            UnknownCheckTypeError: When a type has no executor; nothing has been started.
            TypeError: When a check or its settings have the wrong type; nothing has been started.
            ValueError: When a number of a check is out of range; nothing has been started.
        """
        # Checks of a configuration are complete.
        complete = self._completion.completed
        batch_checks = tuple([one if type(one) is Check and one.is_complete else complete(one) for one in checks])
        self.registry.require(map(attrgetter("check_type"), batch_checks))
        sink = ResultSink(batch_checks, result_received)
        run = BatchRun(batch_checks, sink, budget_seconds, self._shared, given_up)
        call = self._loops.start(run)
        _wait(call, budget_seconds, self._blocked_limit_seconds)
        if not call.outcome.done():
            return self._give_up(call, run, sink)
        error = call.outcome.exception()
        if sink.error is not None:
            raise sink.error
        if error is not None:
            return self._fail(call, run, sink, error)
        if not run.leftovers:
            call.closed.wait(_CLOSING_LIMIT_SECONDS)
        sink.close(lambda check: not_run(check, Reason.RUNNER, "the check was lost by the event loop"))
        return call.outcome.result()

    def _give_up(self, call: LoopCall, run: BatchRun, sink: ResultSink) -> Batch:
        """Report on a batch whose time is up with the results that exist, and abandon the rest."""
        pulse = run.pulse
        silent_seconds = pulse.silent_seconds()
        blocker = find_blocker(pulse.thread_id) if pulse.loop is not None else None
        blocked_seconds = _BLOCKED_SECONDS if blocker is None else _BLOCKED_BY_CHECK_SECONDS
        if silent_seconds < blocked_seconds and pulse.loop is not None:
            late = "not done before the deadline of the batch"
            cut_off = sink.close(lambda check: not_run(check, Reason.DEADLINE, late))
            return run.report(cut_off=cut_off)
        self._loops.silent(call)
        missing = sink.close(lambda check: not_run(check, Reason.RUNNER, _blocked_detail(check, blocker)))
        logger.error(
            "the event loop has not answered for %.1f s; %s did not finish%s",
            silent_seconds,
            counted(missing, "check"),
            culprit_text(blocker),
        )
        return run.report()

    def _fail(self, call: LoopCall, run: BatchRun, sink: ResultSink, error: BaseException) -> Batch:
        """Report on a batch that broke with the results that exist, and replace the loop for the next batch."""
        missing = sink.close(lambda check: not_run(check, Reason.RUNNER, LOOP_BROKE))
        logger.error("the batch broke; %s did not finish", counted(missing, "check"), exc_info=error)
        self._loops.died(call)
        return run.report()

    def _abandoned(self, blocker: Blocker, loop: asyncio.AbstractEventLoop) -> None:
        self._stuck.add_blocking(blocker.execution, loop)


def _wait(call: LoopCall, budget_seconds: float | None, blocked_limit_seconds: float) -> None:
    """Wait until the batch has ended, its time is up, or its loop has ended or become unusable."""
    ends = None
    if budget_seconds is not None:
        patience = min(max(budget_seconds * _PATIENCE_SHARE, _LEAST_PATIENCE_SECONDS), _MOST_PATIENCE_SECONDS)
        ends = perf_counter() + budget_seconds + patience
    if not wait([call.outcome], LOOK_SECONDS if ends is None else min(LOOK_SECONDS, ends - perf_counter())).done:
        LoopWatch(call.work.pulse).wait(call.outcome, ends, blocked_limit_seconds)


def _blocked_detail(check: Check, blocker: Blocker | None) -> str:
    if blocker is None:
        return "the event loop that runs the checks did not answer"
    if blocker.execution.check.name == check.name:
        return f"the check blocks the event loop at {blocker.place}"
    return f"the check {blocker.execution.check.name} blocked the event loop at {blocker.place}"
