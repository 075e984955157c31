"""Tests one address of a check that tests every address of its target's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.net.every_address import ADDRESSES
from exporter.runner.address_verdict import AddressOutcome
from exporter.runner.execution import Execution

if TYPE_CHECKING:
    import asyncio

    from exporter.attempt import Attempt
    from exporter.model import Check, Reason, Result
    from exporter.runner.executors import BatchExecutors
    from exporter.runner.verdict import Verdict


class SharedLimits(NamedTuple):
    """What the tests of one attempt have in common.

    Attributes:
        seconds: The time limit of the attempt.
        reason: The reason of exceeding it.
        ends_at: `perf_counter()` when it is exceeded.
        before_seconds: How long the check took before any address was tested.
        addresses: How many addresses the name has.
    """

    seconds: float
    reason: Reason
    ends_at: float
    before_seconds: float
    addresses: int


class AddressExecution(Execution):
    """Runs the check of one address, until the attempt that it belongs to cuts it off.

    Attributes:
        outcome: The outcome; None until it is known.
    """

    def __init__(
        self, address: str, check: Check, executors: BatchExecutors, limits: SharedLimits, started_seconds: float
    ) -> None:
        """Prepare to test an address.

        Args:
            address: The address.
            check: The check of it.
            executors: The executors of the batch.
            limits: What all addresses have in common.
            started_seconds: How long after the start of the attempt the test starts.
        """
        super().__init__(check, executors, None, lambda execution, result: None)
        self.outcome: AddressOutcome | None = None
        self._address = address
        self._limits = limits
        self._started_seconds = started_seconds

    def cut_off(self, task: asyncio.Task[Result], *, is_over: bool, given_up: bool) -> None:
        """Cancel the test: because its time is over, because no result is needed any more, or for another reason."""
        self._expired, self.given_up = is_over, given_up
        task.cancel()

    def _arm(self, attempt: Attempt) -> None:
        """Adopt the limit of the attempt, which cuts this test off when it is exceeded."""
        limits = self._limits
        self._limit_seconds, self._limit_reason, attempt.ends_at = limits.seconds, limits.reason, limits.ends_at
        attempt.observe({ADDRESSES.name: limits.addresses})

    def _duration_seconds(self) -> float:
        return super()._duration_seconds() + self._limits.before_seconds

    def _finished(self, verdict: Verdict) -> Result:
        """Keep the outcome beside the result, which leaves out what was observed."""
        result, before = super()._finished(verdict), self._started_seconds
        *log, ending = [line._replace(offset_seconds=before + line.offset_seconds) for line in result.log]
        self.outcome = AddressOutcome(
            self._address, verdict, result.duration_seconds, ending.offset_seconds, tuple(log)
        )
        return result
