"""The echo requests of one check to one address, with the reply or error for each."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from exporter.icmp.packets import TOKEN_BYTES
from exporter.icmp.sockets import packet_options
from exporter.icmp.statistics import RoundTrips, summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.addresses import Address
    from exporter.icmp.errors import EchoError

_MOST_REMARKS = 16
"""Odd packets that are reported to the check; a peer may send any number."""


class Echo:
    """One echo request.

    Attributes:
        sequence: Its sequence number.
        payload: Its payload; starts with a random token.
        sent_at: `perf_counter()` when it was sent.
        rtt_seconds: Its round-trip time; None without a reply.
        error: The error reported about it; None without one.
    """

    __slots__ = ("error", "payload", "rtt_seconds", "sent_at", "sequence")

    def __init__(self, sequence: int, payload: bytes, sent_at: float) -> None:
        self.sequence = sequence
        self.payload = payload
        self.sent_at = sent_at
        self.rtt_seconds: float | None = None
        self.error: EchoError | None = None


class EchoSeries:
    """The requests of one check; lives as long as its attempt and is used on one event loop.

    Attributes:
        address: The peer.
        source_ip: The local address to send from; None for the system's choice.
        count: Requests that it consists of when all have been sent.
        options: Control messages of every packet.
        echoes: The requests sent, in order.
        hop_limit: The hop limit of the last reply; None without one or when the system does not report it.
        duplicates: Replies to requests that had been answered already.
        last_error: The last error reported about a request; None without one.
        last_remark: Describes the last packet that looked like a reply and was ignored; empty without one.
    """

    def __init__(
        self,
        address: Address,
        *,
        count: int,
        payload_bytes: int,
        ttl: int | None = None,
        source_ip: str | None = None,
        on_odd_packet: Callable[[str], None] = lambda remark: None,
    ) -> None:
        """Start without requests.

        Args:
            address: The peer.
            count: Requests that will be sent.
            payload_bytes: Size of each payload.
            ttl: The hop limit; None for the system's.
            source_ip: The local address to send from; None for the system's choice.
            on_odd_packet: Called with a sentence about a packet that looks like a reply and is ignored.
        """
        self.address = address
        self.source_ip = source_ip
        self.count = count
        self.options = packet_options(address.version, ttl)
        self.echoes: list[Echo] = []
        self.hop_limit: int | None = None
        self.duplicates = 0
        self.last_error: EchoError | None = None
        self.last_remark = ""
        self._padding = bytes(max(payload_bytes - TOKEN_BYTES, 0))
        self._token_bytes = min(payload_bytes, TOKEN_BYTES)
        self._on_odd_packet = on_odd_packet
        self._remarks = 0
        self._open = 0
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether every request has a reply or an error."""
        return not self._open

    @property
    def rtts_seconds(self) -> list[float]:
        """The round-trip times, in the order of the requests."""
        return [echo.rtt_seconds for echo in self.echoes if echo.rtt_seconds is not None]

    def round_trips(self) -> RoundTrips:
        """Return the statistics so far."""
        return summarize(len(self.echoes), self.rtts_seconds, self.duplicates)

    def next_payload(self) -> bytes:
        """Return the payload of the next request."""
        return os.urandom(self._token_bytes) + self._padding

    def add(self, echo: Echo) -> None:
        """Record a request that was sent."""
        self.echoes.append(echo)
        self._open += 1

    def on_reply(self, echo: Echo, rtt_seconds: float, hop_limit: int | None) -> None:
        """Record a reply; only the first to each request counts."""
        if echo.rtt_seconds is not None:
            self.duplicates += 1
            return
        echo.rtt_seconds = rtt_seconds
        self.hop_limit = hop_limit
        self._settle(was_open=echo.error is None)

    def on_error(self, echo: Echo, error: EchoError) -> None:
        """Record an error about a request, unless it has been answered."""
        if echo.rtt_seconds is None and echo.error is None:
            echo.error = self.last_error = error
            self._settle(was_open=True)

    def on_odd_packet(self, remark: str) -> None:
        """Report a packet that was ignored."""
        self.last_remark = remark
        self._remarks += 1
        if self._remarks <= _MOST_REMARKS:
            self._on_odd_packet(remark)

    def _settle(self, *, was_open: bool) -> None:
        self._open -= was_open
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def wait_for_change(self) -> None:
        """Wait until a request is answered or an error is reported about one."""
        self._changed = asyncio.get_running_loop().create_future()
        try:
            await self._changed
        finally:
            self._changed = None
