"""Bounds on connections that uvicorn has none for: their number and age, and the time to send and to read.

Without them a handful of silent or crawling clients would hold connections, and the memory of their pages, for ever.
Where connections run short, the one that has been idle longest makes room; when all are busy, some places are left for
those who ask how the exporter is. And a connection does not grow old: Prometheus would keep it, and with it the one of
several exporters behind an address that it was made to, while others that came later stand idle.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

MAX_HEAD_BYTES = 16 * 1024
"""Bytes of a request's line and headers."""

_HEALTH_PATHS = frozenset(("/-/healthy", "/-/ready"))
_CLOSE = (b"connection", b"close")


class BoundedProtocol(H11Protocol):
    """One connection of the web server; closes itself when a request or the taking of a response drags on.

    Attributes:
        request_limit_seconds: From the connection, or the first byte of a further request, until its head is there.
        response_limit_seconds: From the end of a response until the client has taken it.
        age_limit_seconds: After it, the next response is the last one of the connection.
        arriving_seconds: For so long a request that has arrived in part counts as under way rather than idle.
        max_connections: Connections at once. There are never more than half of the files that the process may have
            open, so that checks keep theirs.
        spare_connections: Connections beyond these, which only answer how the exporter is.
    """

    request_limit_seconds = 5.0
    response_limit_seconds = 10.0
    age_limit_seconds = 10.0
    arriving_seconds = 1.0
    max_connections = 500
    spare_connections = 20
    _made = 0.0
    _idle_since = 0.0
    _has_partial_request = False
    _begun: RequestResponseCycle | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _response_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Begin to wait for a request; above the limit of connections, make room, or do with a spare place."""
        super().connection_made(transport)
        self._made = self._idle_since = self.loop.time()
        most = min(self.max_connections, _most_open_files() // 2)
        if len(self.connections) > most and not close_longest_idle(self._others()):
            if len(self.connections) > most + self.spare_connections:
                transport.abort()
                return
            self.app = _OnlyHealth(self.app)
        self._await_head()

    def handle_events(self) -> None:
        """Take in what arrived; a request that has is what the connection is busy with from now on."""
        super().handle_events()
        if self.cycle is not None and self.cycle is not self._begun:  # type: ignore[redundant-expr] # None at first
            self._begun = self.cycle
            self._has_partial_request = False
            self._cancel_head_timer()
            if self.loop.time() - self._made > self.age_limit_seconds or _has_two_lengths(self.headers):
                self.cycle.default_headers = [*self.cycle.default_headers, _CLOSE]

    def data_received(self, data: bytes) -> None:
        """Take in what arrived, and begin to wait for the rest when it was a part of a request."""
        super().data_received(data)
        if self.is_idle and not self._has_partial_request and not self.transport.is_closing():
            self._has_partial_request = True
            self._idle_since = self.loop.time()
            if self._head_timer is None:
                self._await_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the client to take the response."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        self._cancel_response_timer()
        self._response_timer = self.loop.call_later(self.response_limit_seconds, self._abandon_slow_reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._cancel_head_timer()
        self._cancel_response_timer()
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered; one that has arrived in part does not count."""
        cycle: RequestResponseCycle | None = self.cycle
        return (cycle is None or cycle.response_complete) and not self.transport.get_write_buffer_size()

    @property
    def idleness(self) -> tuple[bool, float]:
        """A key that sorts idle connections: the one that can best be spared is the least."""
        arrives = self._has_partial_request and self.loop.time() - self._idle_since < self.arriving_seconds
        return arrives, self._idle_since

    def give_way(self) -> None:
        """Close an idle connection; from now on it is not counted."""
        self.connections.discard(self)
        self.transport.close()

    def _others(self) -> list[BoundedProtocol]:
        return [other for other in self.connections if isinstance(other, BoundedProtocol) and other is not self]

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.request_limit_seconds, self.transport.abort)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_response_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None

    def _abandon_slow_reader(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def close_longest_idle(connections: Iterable[BoundedProtocol]) -> bool:
    """Close the connection that can best be spared; return whether any was idle."""
    idle = min((each for each in connections if each.is_idle), key=lambda each: each.idleness, default=None)
    if idle is not None:
        idle.give_way()
    return idle is not None


class _OnlyHealth:
    """The app of a connection beyond the limit; it answers how the exporter is, and 503 to everything else."""

    def __init__(self, app: ASGI3Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _HEALTH_PATHS:
            await self._app(scope, receive, send)  # type: ignore[arg-type] # the same protocol, typed by another library
        else:
            headers = {"Connection": "close", "Retry-After": "1"}
            await PlainTextResponse("too many connections\n", 503, headers)(scope, receive, send)


def _has_two_lengths(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request says in two ways where it ends, and may smuggle another (RFC 9112, section 6.3)."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}


def _most_open_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
