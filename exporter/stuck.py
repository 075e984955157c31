"""Checks that ignored their cancellation: remembered over all batches, skipped until they end, never waited for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortalProvider

    from exporter.execution import Execution


class StuckChecks:
    """The checks that were left behind; lives as long as the runner, shared by threads.

    While there are any, it holds a lease of the portal: ending the loop would mean waiting for them without limit.
    """

    def __init__(self, portal_provider: BlockingPortalProvider) -> None:
        self._portal_provider = portal_provider
        self._executions: dict[str, Execution] = {}
        self._lock = threading.Lock()
        self._lease_held = False

    def names(self) -> frozenset[str]:
        """Give the names of the checks that still run although nobody waits for them."""
        with self._lock:
            return frozenset(self._executions)

    def add(self, execution: Execution) -> None:
        """Remember a check that was left behind, until its task ends."""
        task = execution.task
        assert task is not None  # noqa: S101 - only a check that has started can be left behind
        with self._lock:
            self._executions[execution.check.name] = execution
        task.add_done_callback(lambda _: self._remove(execution))

    def keep_loop_alive(self) -> None:
        """Take a lease of the portal when checks were left behind; to be called while holding another lease."""
        with self._lock:
            if self._executions and not self._lease_held:
                self._lease_held = True
                self._portal_provider.__enter__()

    def _remove(self, execution: Execution) -> None:
        with self._lock:
            if self._executions.get(execution.check.name) is execution:
                del self._executions[execution.check.name]
            release = self._lease_held and not self._executions
            if release:
                self._lease_held = False
        if release:
            # Giving the lease back may end the loop, and the loop's own thread cannot wait for that.
            threading.Thread(target=self._portal_provider.__exit__, args=(None, None, None), daemon=True).start()
