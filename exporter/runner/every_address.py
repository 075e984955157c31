"""Tests every address of a target's name: one lookup, then one execution per address, all at the same time.

The executions share the time limit of the attempt, so that a silent address delays no verdict beyond it. A further
attempt tests every address again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from exporter.addresses import Endpoint
from exporter.attempt import current_attempt
from exporter.net.connection_facts import ConnectionFacts, address_observations, resolution_measurements
from exporter.net.every_address import MOST_ADDRESSES, every_address
from exporter.runner.address_verdict import RESOLVE_LABELS, AddressOutcome, combined
from exporter.runner.execution import Execution
from exporter.runner.one_address import AddressExecution, SharedLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.attempt import Attempt
    from exporter.model import Check, EveryAddress, Result
    from exporter.net import Network
    from exporter.net.every_address import FoundAddresses
    from exporter.runner.executors import BatchExecutors
    from exporter.runner.verdict import Verdict


class _Lookup(NamedTuple):
    """The lookup of one attempt: how to test what it found, and what is known about it."""

    every: EveryAddress
    found: FoundAddresses
    facts: ConnectionFacts

    @property
    def tested(self) -> tuple[str, ...]:
        """The addresses that are tested."""
        return tuple([address.text for address in self.found.addresses[:MOST_ADDRESSES]])


class EveryAddressExecution(Execution):
    """Runs a check that tests every address of its target's name; created and used like an Execution.

    In place of the executor of the check's type, it is itself what each attempt executes.
    """

    def __init__(
        self,
        check: Check,
        executors: BatchExecutors,
        deadline: float | None,
        on_abandoned: Callable[[Execution, Result], None],
    ) -> None:
        super().__init__(check, executors, deadline, on_abandoned)
        self._get_executor = lambda _: self
        self._lookup: _Lookup | None = None
        self._executions: dict[str, AddressExecution] = {}

    async def execute(self, check: Check) -> Result:
        """Look the name up and test its addresses; what comes out is left in the executions, for the verdict.

        Raises:
            CheckFailed: When the lookup failed.
        """
        every, network, attempt = check.every_address, self._executors.network, current_attempt()
        assert every is not None  # noqa: S101 - only such checks are run by this class
        assert network is not None  # noqa: S101 - every batch has one
        self._lookup, self._executions, facts = None, {}, ConnectionFacts(attempt)
        try:
            place = Endpoint(every.host, every.port)
            found = await every_address(network.resolver, place, check.settings, facts)
        except BaseException:
            _report_lookup(every, facts)
            raise
        self._lookup = lookup = _Lookup(every, found, facts)
        listed = " ".join([address.text for address in found.addresses])
        attempt.note("resolved", host=every.host, addresses=listed, seconds=facts.resolve_seconds)
        await self._test(lookup, network, attempt)
        return check.passed

    async def _test(self, lookup: _Lookup, network: Network, attempt: Attempt) -> None:
        """Test the addresses at the same time; when the check is cut off, so are they."""
        before_seconds = self._duration_seconds() - attempt.held_seconds
        limits = SharedLimits(
            self._limit_seconds, self._limit_reason, attempt.ends_at, before_seconds, len(lookup.found.addresses)
        )
        tasks: list[asyncio.Task[None]] = []
        try:
            for address in lookup.tested:
                await network.wait_for_turn(attempt, handshake=False)
                check = replace(lookup.every.at(address), allowed_targets=self.check.allowed_targets)
                execution = AddressExecution(address, check, self._executors, limits, attempt.seconds_so_far())
                self._executions[address] = execution
                tasks.append(asyncio.create_task(execution.test()))
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for execution, task in zip(self._executions.values(), tasks, strict=True):
                execution.cut_off(task, is_over=self._expired, given_up=self.given_up)
            if tasks:
                await asyncio.wait(tasks)
            raise
        finally:
            took = [one.outcome.duration_seconds for one in self._executions.values() if one.outcome is not None]
            if took:  # the check takes as long as its slowest address, however their starts were paced
                attempt.held_seconds = max(self._duration_seconds() - max(took), 0.0)

    def _judged(self, attempt: Attempt, answer: object) -> Verdict:
        """Return the verdict on all addresses, which takes the place of the answer."""
        return self._timed_out(attempt)

    def _timed_out(self, attempt: Attempt) -> Verdict:
        """Return the verdict on all addresses; that on the check as a whole if it got no further than the lookup."""
        lookup = self._lookup
        if lookup is None or self.abandoned:
            return self._broken_off(attempt, *self._exceeded_limit(attempt))
        outcomes = [self._outcome(address, attempt) for address in lookup.tested]
        verdict, lines = combined(outcomes, lookup.found, lookup.facts, lookup.every.phases)
        attempt.log += lines
        return verdict

    def _outcome(self, address: str, attempt: Attempt) -> AddressOutcome:
        """Return the outcome of an address; a test that was not started in time has the reason of the check."""
        execution = self._executions.get(address)
        if execution is not None and execution.outcome is not None:
            return execution.outcome
        verdict = self._broken_off(attempt, *self._exceeded_limit(attempt))
        return AddressOutcome(address, verdict, self._duration_seconds(), self._limit_seconds, ())


def _report_lookup(every: EveryAddress, facts: ConnectionFacts) -> None:
    """Record what is known about a lookup that failed."""
    attempt = facts.attempt
    attempt.measure_all(resolution_measurements(facts))
    attempt.observe(address_observations(facts))
    if every.phases is not None:
        attempt.measure(every.phases, facts.resolve_seconds, RESOLVE_LABELS)
