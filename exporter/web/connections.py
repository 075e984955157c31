"""Bounds on connections that uvicorn has none for: how long a request may take to arrive and a response to be read.

Without them a handful of silent or crawling clients would hold connections, and the memory of their pages, for ever.
And a connection does not grow old: Prometheus would keep it, and with it the one of several exporters behind an address
that it was made to, while others that came later stand idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

MAX_HEAD_BYTES = 16 * 1024
"""Bytes of a request's line and headers."""


class BoundedProtocol(H11Protocol):
    """One connection of the web server; closes itself when a request or the taking of a response drags on.

    Attributes:
        request_limit_seconds: From the connection, or the first byte of a further request, until its head is there.
        response_limit_seconds: From the end of a response until the client has taken it.
        age_limit_seconds: After it, the next response is the last one of the connection.
        max_connections: Connections at once; half of the 1,024 files that processes are allowed at least, as a rule,
            so that checks keep theirs.
    """

    request_limit_seconds = 5.0
    response_limit_seconds = 10.0
    age_limit_seconds = 10.0
    max_connections = 500
    _made = 0.0
    _head_timer: asyncio.TimerHandle | None = None
    _response_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Begin to wait for a request; above the limit of connections, hang up."""
        super().connection_made(transport)
        self._made = self.loop.time()
        if len(self.connections) > self.max_connections:
            transport.abort()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take in what arrived, and see whether a whole request head has."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr] # None at first
            self._cancel_head_timer()
            if self.loop.time() - self._made > self.age_limit_seconds:
                self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]
        elif self._head_timer is None:
            self._await_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the client to take the response."""
        super().on_response_complete()
        self._cancel_response_timer()
        self._response_timer = self.loop.call_later(self.response_limit_seconds, self._abandon_slow_reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._cancel_head_timer()
        self._cancel_response_timer()
        super().connection_lost(exc)

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
