"""Connect to the first of several addresses that accepts: staggered attempts that overlap.

Source: RFC 8305 ("Happy Eyeballs") section 5. The attempts of a race do not wait for the batch's pacer: the first has
had its turn, and the later ones, each after the same delay, are spread out as the first ones were.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from exporter.addresses import endpoint
from exporter.errors import CheckFailed
from exporter.net.errors import connection_failure
from exporter.quantities import counted

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.attempt import Attempt
    from exporter.net.dns.address_queue import AddressQueue

_ATTEMPT_DELAY_SECONDS = 0.25
"""Seconds between the starts of two attempts, unless the first fails sooner: RFC 8305 section 8."""

_MOST_REPORTED = 32
"""A name server may return thousands of addresses; this many are reported individually."""


class Winner(NamedTuple):
    """The connection that was established first.

    Attributes:
        address: The address it is connected to.
        transport: The connection; its protocol is connected.
        arrived_at: `perf_counter()` when it was established.
    """

    address: Address
    transport: asyncio.Transport
    arrived_at: float


class Race:
    """Connects one protocol to one of several addresses; used once, on one event loop.

    Attributes:
        winner: The connection, once there is one.
    """

    def __init__(
        self,
        protocol: asyncio.Protocol,
        candidates: AddressQueue,
        port: int,
        source_ip: str | None,
        attempt: Attempt,
    ) -> None:
        """Prepare a race; no attempt starts yet.

        Args:
            protocol: Connected to the winner alone, as soon as that is established.
            candidates: The addresses.
            port: Their port.
            source_ip: The local address of all attempts; None for the system's choice.
            attempt: Where each address tried is logged.
        """
        self.winner: Winner | None = None
        self._protocol = protocol
        self._candidates = candidates
        self._port = port
        self._source = None if source_ip is None else (source_ip, 0)
        self._attempt = attempt
        self._tries: dict[asyncio.Task[OSError | None], Address] = {}
        self._tried: dict[Address, CheckFailed | None] = {}
        self._next_at = 0.0
        self._open = True

    async def run(self) -> Winner:
        """Try the addresses until one answers; on return or error no other connection is left.

        Raises:
            CheckFailed: When all failed: with the reason of the first attempt, and a detail that describes each.
        """
        try:
            while self.winner is None or self.winner.address in self._tries.values():
                self._start_what_is_due()
                await self._wait()
            await self._end_the_others()
        except BaseException:
            self._open = False
            if self.winner is not None:
                self.winner.transport.abort()
            await self._end_the_others()
            raise
        return self.winner

    def describe_outcomes(self) -> str:
        """Return the outcome of each address tried and each failed lookup."""
        details = [
            f"{self._place(address)} did not answer" if failure is None else failure.detail
            for address, failure in islice(self._tried.items(), _MOST_REPORTED)
        ]
        if len(self._tried) > _MOST_REPORTED:
            details.append(f"{counted(len(self._tried) - _MOST_REPORTED, 'more address', 'more addresses')} failed")
        return "; ".join((*details, *(failure.detail for failure in self._candidates.failures)))

    def established(self, address: Address, transport: asyncio.Transport) -> None:
        """Keep the first connection that is established, and close every later one."""
        if not self._open:
            transport.abort()
            return
        self._open = False
        self.winner = Winner(address, transport, perf_counter())
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)

    def _start_what_is_due(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._open or now < self._next_at:
            return
        address = self._candidates.take()
        if address is None:
            return
        self._tried[address] = None
        self._attempt.note("trying", address=self._place(address))
        self._tries[asyncio.create_task(self._try(address))] = address
        self._next_at = now + _ATTEMPT_DELAY_SECONDS

    async def _try(self, address: Address) -> OSError | None:
        """Connect to one address; return the failure, if any."""
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _FinishLine(self, address), address.text, self._port, local_addr=self._source
            )
        except OSError as error:
            return error
        return None

    async def _wait(self) -> None:
        """Wait until an attempt or a lookup ends, or the next attempt is due."""
        lookups = self._candidates.under_way
        if not self._tries and not lookups:
            reason = next(failure.reason for failure in self._tried.values() if failure)
            raise CheckFailed(reason, self.describe_outcomes())
        pause_seconds = None
        if self._candidates.next is not None:
            pause_seconds = max(self._next_at - asyncio.get_running_loop().time(), 0.0)
        waiting: set[asyncio.Future[Any]] = {*self._tries, *lookups}
        ended, _ = await asyncio.wait(waiting, timeout=pause_seconds, return_when=asyncio.FIRST_COMPLETED)
        self._candidates.take_in(lookups & ended)
        for task in [task for task in self._tries if task in ended]:
            self._end_try(self._tries.pop(task), task.result())

    def _end_try(self, address: Address, error: OSError | None) -> None:
        if error is None:
            return
        failure = connection_failure(error, f"connecting to {self._place(address)}")
        self._attempt.note("the attempt failed", address=self._place(address), why=failure.detail)
        self._tried[address] = failure
        if address == next(reversed(self._tried)):
            self._next_at = 0.0  # the latest attempt has failed, so there is nothing to wait for

    async def _end_the_others(self) -> None:
        self._candidates.close()
        for task in self._tries:
            task.cancel()
        if self._tries:
            await asyncio.wait(self._tries)

    def _place(self, address: Address) -> str:
        return endpoint(address.text, self._port)


class _FinishLine(asyncio.Protocol):
    """Notifies the race when its connection is established; lives until then.

    The event loop's `create_connection` returns later than that, and much later on a busy loop.
    """

    def __init__(self, race: Race, address: Address) -> None:
        self._race = race
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection to the race."""
        self._race.established(self._address, cast("asyncio.Transport", transport))
