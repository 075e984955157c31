"""Limits connections in ways that uvicorn does not: their number and age, and the time to send and to read.

Without limits, a few silent or slow clients would hold connections, and the memory of their pages, for ever. When there
are too many connections, the one that has been idle longest is closed; when all are busy, a few spare ones remain for
health checks. The age is limited too: Prometheus would keep a connection, and thus stay with one of several exporters
behind an address, while exporters added later get no requests.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MAX_HEAD_BYTES = 16 * 1024
"""Most bytes of a request's line and headers."""

HEALTH_PATHS = frozenset(("/-/healthy", "/-/ready"))
"""What spare connections answer."""

CLIENT_CERTIFICATE = "client_certificate"
"""Key in the state of a request: whether the client has presented a certificate that was accepted."""

CLIENT_LEAVES = "client_leaves"
"""Key in the state of a request: a future that is done once the client has closed the connection. Waiting for the ASGI
message that says so would take a task for each request, which costs as much as a page about one probe."""

_CLOSE = (b"connection", b"close")
_VERSIONS = frozenset(("1.0", "1.1"))
_TOO_LONG = f"the head of the request is longer than {MAX_HEAD_BYTES} bytes"


class BoundedProtocol(HttpToolsProtocol):
    """One connection of the web server; closes itself when the client sends too much, or sends or reads too slowly.

    Attributes:
        request_limit_seconds: From the connection, or the first byte of a later request, until its head has arrived.
        response_limit_seconds: From the end of a response until the client has read it.
        age_limit_seconds: After this age, the next response is the last one of the connection.
        arriving_seconds: For this long a connection with a partial request is closed only after idle ones.
        max_connections: Most connections at once, and never more than half of the files that the process may open, so
            that enough remain for checks.
        spare_connections: Further connections, which only answer health checks.
        health_paths: The paths of health checks.
    """

    request_limit_seconds = 5.0
    response_limit_seconds = 10.0
    age_limit_seconds = 10.0
    arriving_seconds = 1.0
    max_connections = 500
    spare_connections = 20
    health_paths = HEALTH_PATHS
    _made = 0.0
    _idle_since = 0.0
    _has_partial_request = False
    _head_bytes: int | None = 0
    _head_timer: asyncio.TimerHandle | None = None
    _response_timer: asyncio.TimerHandle | None = None
    _leaving: asyncio.Future[None]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Start waiting for a request; above the connection limit, close an idle connection or use a spare one."""
        super().connection_made(transport)
        self._leaving = self.loop.create_future()
        self._made = self._idle_since = self.loop.time()
        most = min(self.max_connections, _most_open_files() // 2)
        if len(self.connections) > most and not close_longest_idle(self._others()):
            if len(self.connections) > most + self.spare_connections:
                transport.abort()
                return
            self.app = _OnlyHealth(self.app, self.health_paths)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Handle what arrived; start waiting for the rest of a partial request, unless its head is too long."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response(_TOO_LONG)
        elif self.is_idle and not self._has_partial_request:
            self._has_partial_request = True
            self._idle_since = self.loop.time()
            if self._head_timer is None:
                self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; what follows the body is ignored, because nobody expects it there (RFC 9110, section 6.5)."""
        if self._head_bytes is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer a request; the connection counts as busy.

        Raises:
            ValueError: When the head is too long or of an unknown version, which is answered with 400.
        """
        if self.parser.get_http_version() not in _VERSIONS:
            raise ValueError("a version that does not exist")
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError(_TOO_LONG)
        self.scope["state"][CLIENT_CERTIFICATE] = self.transport.get_extra_info(CLIENT_CERTIFICATE, default=False)
        self.scope["state"][CLIENT_LEAVES] = self._leaving
        super().on_headers_complete()
        self._head_bytes = None
        self._has_partial_request = False
        self._cancel_head_timer()
        if self.loop.time() - self._made > self.age_limit_seconds:
            self.cycle.default_headers = [*self.cycle.default_headers, _CLOSE]

    def on_message_complete(self) -> None:
        """Note that a request has arrived, and that a head follows."""
        super().on_message_complete()
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """Start waiting for the client to read the response; the rest of a body that nobody read is not awaited."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        if self._head_bytes is None and self.cycle.response_complete:
            self.transport.close()
        self._cancel_response_timer()
        self._response_timer = self.loop.call_later(self.response_limit_seconds, self._abandon_slow_reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers, and whatever is done for the client alone."""
        self._cancel_head_timer()
        self._cancel_response_timer()
        self._leaving.set_result(None)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered; a partial request does not count."""
        cycle: RequestResponseCycle | None = self.cycle
        return (cycle is None or cycle.response_complete) and not self.transport.get_write_buffer_size()

    @property
    def is_new(self) -> bool:
        """Whether no request has arrived on it yet."""
        return self.cycle is None and not self.transport.is_closing()

    @property
    def idleness(self) -> tuple[bool, float]:
        """A sort key for idle connections: the least is the best one to close."""
        arrives = self._has_partial_request and self.loop.time() - self._idle_since < self.arriving_seconds
        return arrives, self._idle_since

    def give_way(self) -> None:
        """Close this idle connection and stop counting it."""
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
    """Close the idle connection that sorts first by `idleness`; return whether any was idle."""
    idle = min((each for each in connections if each.is_idle), key=lambda each: each.idleness, default=None)
    if idle is not None:
        idle.give_way()
    return idle is not None


class _OnlyHealth:
    """The app of a connection beyond the limit; it answers health checks, and 503 to everything else."""

    def __init__(self, app: ASGIApp, health_paths: Collection[str]) -> None:
        self._app = app
        self._health_paths = health_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._health_paths:
            await self._app(scope, receive, send)
        else:
            headers = {"Connection": "close", "Retry-After": "1"}
            await PlainTextResponse("too many connections\n", 503, headers)(scope, receive, send)


def _most_open_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
