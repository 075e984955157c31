"""Runs single checks on the event loop of its caller, for requests that ask for one check each.

A batch costs a thread, a network, and hops between threads whose Python code cannot run at the same time: together more
than most checks. A check that runs here costs a task. It shares the loop with its caller, so the only types that run
here are built-in ones, which never block a loop.

Checks that run at the same time share lookups, executors and the pace of starts, as the checks of a batch do.
"""

from __future__ import annotations

import asyncio
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

from exporter.http.shared import HttpShared
from exporter.runner.execution import Execution
from exporter.runner.executors import Closings
from exporter.runner.opened import OpenedForBatch
from exporter.runner.pacing import Pacer, Workload
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from exporter.model import Check, Result
    from exporter.net import Network

_LONGEST_SHARING_SECONDS = 1.0
"""Shared state is replaced after this time, so that no lookup or certificate file is used for much longer."""


class SingleCheckRunner:
    """Runs checks of built-in types; used on one event loop, and lives as long as it."""

    def __init__(self, network: Network | None = None) -> None:
        """Create a runner.

        Args:
            network: Connects the checks to their targets. It may share its resolver threads with other loops, but not
                its TLS contexts, which count the handshakes of one loop.
        """
        self._registry = ExecutorRegistry.with_builtins()
        self._http = HttpShared(network)
        self._workload = Workload()
        self._shared: _SharedByRuns | None = None
        self._closings: set[asyncio.Task[None]] = set()

    async def run(self, check: Check, budget_seconds: float) -> Result:
        """Run a check and return its result. Cancelling this abandons the check.

        Args:
            check: The check, completed by a configuration or a module.
            budget_seconds: Time until the result is needed, including the time that the check waits for its start.
        """
        shared = self._join()
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        deadline = perf_counter() + budget_seconds
        execution = Execution(check, shared.opened.executors, deadline, lambda _, result: _settle(outcome, result))
        task = asyncio.create_task(_execute(execution, shared, outcome))
        task.add_done_callback(lambda _: self._leave(shared))
        try:
            return await outcome
        finally:
            if not task.done() and not execution.abandoned:
                execution.given_up = True
                task.cancel()

    def _join(self) -> _SharedByRuns:
        """Count one more running check, and return the state that it shares with the others."""
        shared = self._shared
        if shared is None or perf_counter() - shared.began > _LONGEST_SHARING_SECONDS:
            shared = self._shared = _SharedByRuns(self._registry, self._http, self._workload)
        shared.running += 1
        shared.checks += 1
        return shared

    def _leave(self, shared: _SharedByRuns) -> None:
        """Count one check less; close the shared state when the last one has ended."""
        shared.running -= 1
        if shared.running:
            return
        if shared is self._shared:
            self._shared = None
        closing = asyncio.create_task(shared.close())
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)


async def _execute(execution: Execution, shared: _SharedByRuns, outcome: asyncio.Future[Result]) -> None:
    try:
        await shared.refresh()
        await shared.pacer.wait_for_turn()
        _settle(outcome, await execution.run())
    finally:
        outcome.cancel()  # unless it has a result


class _SharedByRuns:
    """The state that checks share while they run at the same time.

    Attributes:
        began: `perf_counter()` when it was created.
        running: Checks that have not ended.
        checks: Checks so far.
        pacer: Holds back their starts.
        opened: The network, HTTP state and executors.
    """

    def __init__(self, registry: ExecutorRegistry, http: HttpShared, workload: Workload) -> None:
        self.began = perf_counter()
        self.running = 0
        self.checks = 0
        self.pacer = Pacer(workload)
        self.opened = OpenedForBatch(registry, http, self.pacer, needs_http_client=True)
        self._workload = workload
        self._is_refreshed = False
        self._busy_before = thread_time()

    async def refresh(self) -> None:
        """Reread the shared files, such as certificates, unless that has already begun."""
        if not self._is_refreshed:
            self._is_refreshed = True
            await self.opened.network.refresh()

    async def close(self) -> None:
        """Close the network, HTTP state and executors."""
        await self.opened.aclose(Closings())
        self._workload.learn(thread_time() - self._busy_before, self.checks, self.pacer.handshakes)


def _settle(outcome: asyncio.Future[Result], result: Result) -> None:
    if not outcome.done():
        outcome.set_result(result)
