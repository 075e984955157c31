"""The addresses of one host in the order they are tried, while lookups may still add more.

Source: RFC 8305 section 3 for the wait for the preferred family, section 4 for the order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.stub import LookupAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from exporter.addresses import Address


Outcome = LookupAnswer | CheckFailed
"""The outcome of a lookup: an answer, possibly without addresses, or why it failed."""

_RESOLUTION_DELAY_SECONDS = 0.05
"""Seconds that addresses of the other family wait for those of the preferred one: RFC 8305 section 8."""


class AddressQueue:
    """Addresses waiting to be tried; a context manager that cancels the lookups still running when it exits.

    Attributes:
        outcomes: Outcomes of the finished lookups, by IP version.
        lookup_seconds: Duration of the longest finished lookup; None when none has finished.
    """

    def __init__(self, versions: tuple[int, ...], lookups: Mapping[int, asyncio.Future[Outcome]]) -> None:
        """Start without addresses.

        Args:
            versions: The allowed IP versions, the preferred one first.
            lookups: The running lookup for each of them.
        """
        self.outcomes: dict[int, Outcome] = {}
        self.lookup_seconds: float | None = None
        self._preferred = versions[0]
        self._turns = versions
        self._waiting: dict[int, deque[Address]] = {version: deque() for version in versions}
        self._refusal: Callable[[Address], str] | None = None
        self._under_way = {lookup: version for version, lookup in lookups.items()}

    @classmethod
    def of(cls, addresses: Sequence[Address], lookup_seconds: float | None = None) -> Self:
        """Return a queue of known addresses, at least one; the family of the first is the preferred one."""
        candidates = cls(tuple(dict.fromkeys(address.version for address in addresses)), {})
        candidates.lookup_seconds = lookup_seconds
        candidates._add(addresses)
        return candidates

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def keep_only(self, refusal: Callable[[Address], str]) -> None:
        """Drop the waiting addresses that are refused, and those that lookups still add.

        Args:
            refusal: Returns why an address is refused; empty when it is not.

        Raises:
            CheckFailed: With reason `local` when no address is left that could be tried now.
        """
        self._refusal = refusal
        waiting = [address for version in self._turns for address in self._waiting[version]]
        self._waiting = {version: deque() for version in self._turns}
        self._add(waiting)
        if self.next is None:
            raise CheckFailed(Reason.LOCAL, "; ".join(filter(None, map(refusal, waiting))))

    def close(self) -> None:
        """Cancel the lookups that are still running."""
        for lookup in self._under_way:
            lookup.cancel()

    @property
    def under_way(self) -> frozenset[asyncio.Future[Outcome]]:
        """The lookups that may still return addresses."""
        return frozenset(self._under_way)

    @property
    def next(self) -> Address | None:
        """The next address; None when none is waiting."""
        return next((self._waiting[version][0] for version in self._turns if self._waiting[version]), None)

    @property
    def only(self) -> Address | None:
        """The only address; None when there are others, may still be, or a lookup failed."""
        several = self._under_way or self.failures or sum(map(len, self._waiting.values())) > 1
        return None if several else self.next

    @property
    def failures(self) -> list[CheckFailed]:
        """The failed lookups, in the order they failed."""
        return [outcome for outcome in self.outcomes.values() if isinstance(outcome, CheckFailed)]

    def take(self) -> Address | None:
        """Remove and return the next address; the other family is next. None when none is waiting."""
        address = self.next
        if address is not None:
            self._waiting[address.version].popleft()
            self._turns = (*(version for version in self._turns if version != address.version), address.version)
        return address

    def take_in(self, ended: Iterable[asyncio.Future[Outcome]]) -> None:
        """Add the results of finished lookups."""
        for lookup in ended:
            outcome = self.outcomes[self._under_way.pop(lookup)] = lookup.result()
            if isinstance(outcome, LookupAnswer):
                self.lookup_seconds = max(outcome.seconds, self.lookup_seconds or 0.0)
                self._add(outcome.addresses)

    async def settle(self) -> None:
        """Wait until the first address may be tried: one of the preferred family, or another after the delay."""
        while self._under_way and not self._waiting[self._preferred]:
            if self.next is not None and self._preferred not in self._under_way.values():
                return
            limit_seconds = None if self.next is None else _RESOLUTION_DELAY_SECONDS
            ended, _ = await asyncio.wait(self._under_way, timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not ended:
                return
            self.take_in(ended)

    def _add(self, addresses: Iterable[Address]) -> None:
        for address in dict.fromkeys(addresses):
            if self._refusal is not None and self._refusal(address):
                continue
            self._waiting[address.version].append(address)
