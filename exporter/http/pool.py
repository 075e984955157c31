"""Keep idle connections open for the next request that needs an identical connection.

Idle connections are watched: one that the server closes, or that receives unsolicited data, is dropped at once.
Legitimate HTTP/2 frames are processed and answered.
Connections belong to the event loop that made them and are closed with it.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import fields
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.http.message import RequestOptions
from exporter.net.connection_facts import ConnectionFacts
from exporter.settings import NetworkSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Hashable

    from exporter.attempt import Attempt
    from exporter.http.http2_session import Http2Session
    from exporter.http.message import WireRequest
    from exporter.net.connection_facts import TlsFacts
    from exporter.net.tls.context import TlsContext

MAX_IDLE_PER_KEY, MAX_IDLE, MAX_IDLE_SECONDS = 2, 1024, 300.0


_NOT_OF_THE_CONNECTION = ("network", "tls_timeout_seconds", "body_limit_bytes", "stop_at_redirect", "keep_alive")
_SHAPING_OPTIONS = tuple(field.name for field in fields(RequestOptions) if field.name not in _NOT_OF_THE_CONNECTION)
"""Options that distinguish connections: all but those known not to, so that a new option is safe by default."""

_SHAPING_SETTINGS = tuple(NetworkSettings.model_fields)


def connection_key(request: WireRequest) -> Hashable:
    """Return everything that determines the connection for a request; requests with equal keys may share one."""
    options = request.options
    settings = [getattr(options.network, name) for name in _SHAPING_SETTINGS]
    settings += [getattr(options, name) for name in _SHAPING_OPTIONS]
    return request.endpoint, request.secure, request.upgrades, tuple(settings)


class EstablishedFacts(NamedTuple):
    """The facts of a connection that outlive the attempt that opened it.

    Attributes:
        address: The address connected to.
        ip_protocol: 4 or 6.
        ip_addr_hash: FNV-1a hash of the bytes of the address.
        tls: Facts of the TLS handshake; None without one.
    """

    address: str
    ip_protocol: int
    ip_addr_hash: int
    tls: TlsFacts | None

    @classmethod
    def of(cls, facts: ConnectionFacts) -> EstablishedFacts:
        """Copy the lasting facts of a connection."""
        return cls(facts.address, facts.ip_protocol, facts.ip_addr_hash, facts.tls)

    def reused(self, attempt: Attempt) -> ConnectionFacts:
        """Return the facts for another attempt on the same connection: same address and TLS, no phases."""
        facts = ConnectionFacts(attempt)
        facts.address, facts.ip_protocol, facts.ip_addr_hash, facts.tls = self
        facts.ready_at = perf_counter()
        return facts


class IdleConnection(asyncio.Protocol):
    """One idle connection; serves as its protocol while it is idle.

    Attributes:
        transport: The connection.
        established: Its address and TLS facts.
        context: The TLS context it was made with; a rebuilt context requires a new connection.
        session: Its HTTP/2 state; None for HTTP/1.1.
        key: Its connection key.
        kept_at: Loop time when it became idle.
        kept_by: The connections of its event loop, once it is kept; else None.
    """

    def __init__(
        self,
        key: Hashable,
        transport: asyncio.Transport,
        established: EstablishedFacts,
        context: TlsContext | None,
        session: Http2Session | None,
    ) -> None:
        self.key = key
        self.transport = transport
        self.context = context
        self.session = session
        self.kept_at = 0.0
        self.kept_by: _LoopConnections | None = None
        self.established = established

    def data_received(self, data: bytes) -> None:
        """Drop a connection that receives unsolicited data."""
        if self.session is None or not self.session.stays_usable(data, self.transport):
            self.end()

    def eof_received(self) -> None:
        """Drop a connection that the server closes."""
        self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a lost connection."""
        self.end()

    def end(self) -> None:
        """Forget the connection and close it."""
        if self.kept_by is not None:
            self.kept_by.forget(self)
        self.transport.abort()


class ConnectionPool:
    """The idle connections of the process; limited per key and in total. Event loops of any thread may use it."""

    def __init__(self, *, max_idle: int = MAX_IDLE, max_idle_seconds: float = MAX_IDLE_SECONDS) -> None:
        self._max_idle = max_idle
        self._max_idle_seconds = max_idle_seconds
        self._lock = Lock()
        self._kept: _LoopConnections | None = None

    def take(self, key: Hashable, context: TlsContext | None) -> IdleConnection | None:
        """Remove and return the usable connection for a key that was used last; None if there is none."""
        kept = self._kept
        if kept is None or kept.loop is not asyncio.get_running_loop():
            return None
        while (idle := kept.last(key)) is not None:
            kept.forget(idle)
            if idle.context is context and not idle.transport.is_closing():
                return idle
            idle.transport.abort()
        return None

    async def keep(self, idle: IdleConnection) -> None:
        """Keep a connection without a request in progress."""
        loop = asyncio.get_running_loop()
        with self._lock:
            kept = self._kept
            if kept is None or kept.loop is not loop:
                kept = self._kept = _LoopConnections(loop, self._max_idle, self._max_idle_seconds)
        await kept.watch_the_loop()
        kept.add(idle)


class _LoopConnections:
    """Idle connections of one event loop; lives as long as the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_idle: int, max_idle_seconds: float) -> None:
        self.loop = loop
        self._max_idle = max_idle
        self._max_idle_seconds = max_idle_seconds
        self._oldest_first: dict[IdleConnection, None] = {}
        self._by_key: dict[Hashable, list[IdleConnection]] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._end_of_loop: AsyncGenerator[None, None] | None = None

    async def watch_the_loop(self) -> None:
        """Close the connections when the loop ends: asyncio then closes the generators started on it."""
        if self._end_of_loop is None:
            self._end_of_loop = self._closed_with_the_loop()
            await anext(self._end_of_loop)

    async def _closed_with_the_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            for idle in list(self._oldest_first):
                idle.end()
            await asyncio.sleep(0)  # one more pass, in which the sockets are closed

    def last(self, key: Hashable) -> IdleConnection | None:
        """Return the connection for a key that was kept last."""
        same = self._by_key.get(key)
        return same[-1] if same else None

    def add(self, idle: IdleConnection) -> None:
        """Keep a connection; when there are too many, the oldest is closed."""
        same = self._by_key.setdefault(idle.key, [])
        same.append(idle)
        self._oldest_first[idle] = None
        idle.kept_by, idle.kept_at = self, self.loop.time()
        idle.transport.set_protocol(idle)
        if len(same) > MAX_IDLE_PER_KEY:
            same[0].end()
        elif len(self._oldest_first) > self._max_idle:
            next(iter(self._oldest_first)).end()
        self._expire_later()
        if idle.session is not None:
            idle.data_received(b"")  # what arrived after the answer

    def forget(self, idle: IdleConnection) -> None:
        """Stop keeping a connection."""
        idle.kept_by = None
        if idle in self._oldest_first:
            del self._oldest_first[idle]
            same = self._by_key[idle.key]
            same.remove(idle)
            if not same:
                del self._by_key[idle.key]

    def _expire_later(self) -> None:
        if self._expiry is None and self._oldest_first:
            oldest = next(iter(self._oldest_first))
            # In a separate context, because the timer outlives the attempt in whose context it would run.
            self._expiry = self.loop.call_at(oldest.kept_at + self._max_idle_seconds, self._expire, context=Context())

    def _expire(self) -> None:
        self._expiry = None
        for idle in list(self._oldest_first):
            if idle.kept_at + self._max_idle_seconds > self.loop.time():
                break
            idle.end()
        self._expire_later()
