"""Tests one address of a check that tests every address of its target's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.net.every_address import ADDRESSES
from exporter.runner.address_verdict import AddressOutcome
from exporter.runner.execution import Execution

if TYPE_CHECKING:
    import asyncio

    from exporter.attempt import Attempt
    from exporter.model import Check, Reason
    from exporter.runner.executors import BatchExecutors


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

    async def test(self) -> None:
        """Run the check of the address and keep the outcome."""
        result, before = await self.run(), self._started_seconds
        assert self.verdict is not None  # noqa: S101 - there is one with the result
        log = [line._replace(offset_seconds=before + line.offset_seconds) for line in result.log]
        ended_seconds = log.pop().offset_seconds if log else before  # the last line tells the verdict
        self.outcome = AddressOutcome(self._address, self.verdict, result.duration_seconds, ended_seconds, tuple(log))

    def cut_off(self, task: asyncio.Task[None], *, is_over: bool, given_up: bool) -> None:
        """Cancel the test: because its time is over, because no result is needed any more, or for another reason."""
        self._expired, self.given_up = is_over, given_up
        task.cancel()

    def _arm(self, attempt: Attempt) -> None:
        """Adopt the limit of the attempt, which cuts this test off when it is exceeded."""
        limits = self._limits
        self._limit_seconds, self._limit_reason, attempt.ends_at = limits.seconds, limits.reason, limits.ends_at
        self._began -= limits.before_seconds  # the check of the address takes as long as if it had done all that itself
        attempt.observe({ADDRESSES.name: limits.addresses})
