"""HTTP/1.1 on one connection, by uvicorn's protocol, within the limits of `exporter.web.limits`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporter.web.limits import CLIENT_CERTIFICATE, CLIENT_LEAVES, MAX_HEAD_BYTES, BoundedConnection

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_CLOSE = (b"connection", b"close")
_VERSIONS = frozenset(("1.0", "1.1"))
_MOST_WAITING = 10  # clients that send requests before the last response are rare, and each request costs time at once
_TOO_LONG = f"the head of the request is longer than {MAX_HEAD_BYTES} bytes"


class Http1Protocol(BoundedConnection, HttpToolsProtocol):  # type: ignore[misc] # uvicorn narrows the connections
    """One connection; closes itself when the client sends too much, or sends or reads too slowly."""

    _head_bytes: int | None = 0
    _response_timer: asyncio.TimerHandle | None = None
    _leaving: asyncio.Future[None]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Start waiting for a request, within the limits."""
        super().connection_made(transport)
        self._leaving = self.loop.create_future()
        self._begin()

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
            ValueError: When the head is too long or of an unknown version, or when too many requests wait for the
                responses before theirs, which is answered with 400.
        """
        if len(self.pipeline) >= _MOST_WAITING:
            raise ValueError("too many requests at once")
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
        if self._is_old:
            self.cycle.default_headers = [*self.cycle.default_headers, _CLOSE]

    def on_message_complete(self) -> None:
        """Record the end of a request; the head of the next one may follow."""
        super().on_message_complete()
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """Start waiting for the client to read the response; the rest of a body that nobody read is not awaited."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        if self._head_bytes is None and self.cycle.response_complete:
            self.transport.close()
        self._cancel_response_timer()
        self._response_timer = self.loop.call_later(self.limits.response_seconds, self._abandon_slow_reader)

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

    def hand_over(self) -> None:
        """Leave the connection to another protocol, before any request."""
        self._cancel_head_timer()
        self.connections.discard(self)

    def _cancel_response_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None

    def _abandon_slow_reader(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
