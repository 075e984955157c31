"""Tracks what outlives a batch: stuck checks, skipped until they end, and tasks that keep the loop running."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from exporter.runner.check_threads import CheckThreads
    from exporter.runner.execution import Execution

_LOOK_SECONDS = 1.0


class StuckChecks:
    """The checks that ignored their cancellation; lives as long as the runner, shared by threads."""

    def __init__(self, threads: CheckThreads) -> None:
        """Start without stuck checks.

        Args:
            threads: The threads of blocking types; they track their own stuck checks.
        """
        self._threads = threads
        self._executions: dict[str, Execution] = {}
        self._lock = threading.Lock()

    def names(self) -> frozenset[str]:
        """Return the names of the checks that are still running although their batch has ended."""
        with self._lock:
            return frozenset(self._executions) | self._threads.stuck_names

    def add(self, execution: Execution) -> None:
        """Remember a check that was left behind, until its task ends; call this on the loop that runs it."""
        self._remember(execution)
        self._forget_when_done(execution)

    def add_blocking(self, execution: Execution, loop: asyncio.AbstractEventLoop) -> None:
        """Remember a check that blocks its loop, until the loop is free and the task ends; callable from any thread."""
        self._remember(execution)
        loop.call_soon_threadsafe(self._forget_when_done, execution)

    def _remember(self, execution: Execution) -> None:
        with self._lock:
            self._executions[execution.check.name] = execution

    def _forget_when_done(self, execution: Execution) -> None:
        if execution.task is not None:
            execution.task.add_done_callback(lambda _: self._forget(execution))

    def _forget(self, execution: Execution) -> None:
        with self._lock:
            if self._executions.get(execution.check.name) is execution:
                del self._executions[execution.check.name]


class Leftovers:
    """Tasks that outlive their batch; added on its loop, awaited by the thread that holds the lease of the loop.

    Ending a loop waits for its tasks without limit, so the lease is returned only when they are done.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._changed = threading.Event()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def add(self, task: asyncio.Task[object] | None) -> None:
        """Add a task that was left behind."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def wait(self) -> None:
        """Wait until every task, or its loop, has ended."""
        while self._tasks and any(not task.get_loop().is_closed() for task in tuple(self._tasks)):
            self._changed.wait(_LOOK_SECONDS)
            self._changed.clear()

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._changed.set()
