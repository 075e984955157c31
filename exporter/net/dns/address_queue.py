"""The addresses of one host in the order in which they are tried, while lookups may still bring more.

Source: RFC 8305 section 3 for how long the preferred family is waited for, section 4 for the order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from exporter.errors import CheckFailed
from exporter.net.dns.stub import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from exporter.net.addresses import Address


Outcome = Answer | CheckFailed
"""What a lookup told: an answer, if only that there is none, or why it cannot tell."""

_RESOLUTION_DELAY_SECONDS = 0.05
"""How long addresses of the other family wait for those of the preferred one: RFC 8305 section 8."""


class AddressQueue:
    """Addresses that wait to be tried; ends the lookups still under way when its block ends.

    Attributes:
        outcomes: What the lookups that have ended told, by IP version.
        lookup_seconds: How long the longest lookup took that has told; None when none has.
    """

    def __init__(self, versions: tuple[int, ...], lookups: Mapping[int, asyncio.Future[Outcome]]) -> None:
        """Begin with no address.

        Args:
            versions: The IP versions that may be used, the preferred one first.
            lookups: The lookup that is under way for each of them.
        """
        self.outcomes: dict[int, Outcome] = {}
        self.lookup_seconds: float | None = None
        self._preferred = versions[0]
        self._turns = versions
        self._waiting: dict[int, deque[Address]] = {version: deque() for version in versions}
        self._under_way = {lookup: version for version, lookup in lookups.items()}

    @classmethod
    def of(cls, addresses: Sequence[Address], lookup_seconds: float | None = None) -> Self:
        """Give candidates that are all known, at least one; the first is of the preferred family."""
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

    def close(self) -> None:
        """Give up the lookups that are still under way."""
        for lookup in self._under_way:
            lookup.cancel()

    @property
    def under_way(self) -> frozenset[asyncio.Future[Outcome]]:
        """The lookups that may still bring addresses."""
        return frozenset(self._under_way)

    @property
    def next(self) -> Address | None:
        """The address whose turn it is; None when none waits."""
        return next((self._waiting[version][0] for version in self._turns if self._waiting[version]), None)

    @property
    def only(self) -> Address | None:
        """The one address there is; None when there are others, may be, or cannot be told of."""
        several = self._under_way or self.failures or sum(map(len, self._waiting.values())) > 1
        return None if several else self.next

    @property
    def failures(self) -> list[CheckFailed]:
        """The lookups that failed, in the order in which they did."""
        return [outcome for outcome in self.outcomes.values() if isinstance(outcome, CheckFailed)]

    def take(self) -> Address | None:
        """Take out the address whose turn it is; the other family is next. None when none waits."""
        address = self.next
        if address is not None:
            self._waiting[address.version].popleft()
            self._turns = (*(version for version in self._turns if version != address.version), address.version)
        return address

    def take_in(self, ended: Iterable[asyncio.Future[Outcome]]) -> None:
        """Add what lookups have brought that have ended."""
        for lookup in ended:
            outcome = self.outcomes[self._under_way.pop(lookup)] = lookup.result()
            if isinstance(outcome, Answer):
                self.lookup_seconds = max(outcome.seconds, self.lookup_seconds or 0.0)
                self._add(outcome.addresses)

    async def settle(self) -> None:
        """Wait until the first address may be tried: it is of the preferred family, or that keeps others waiting."""
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
            self._waiting[address.version].append(address)
