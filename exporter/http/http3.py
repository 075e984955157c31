"""HTTP/3 on one connection: one stream, one request, one answer. Source: RFC 9114.

aioquic parses frames and field sections. It requires of every answer that its Content-Length matches the body, even of
those that have none, so the end of the stream is passed to it separately from the data before it, and only where there
is a body to end. What goes on longer than a response needs is rejected here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.h3.connection import ErrorCode
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.events import StopSendingReceived, StreamDataReceived, StreamReset

from exporter.errors import CheckFailed
from exporter.http.http3_connection import Http3Connection
from exporter.http.response import ResponseReader
from exporter.model import Reason
from exporter.net.quic.application import QuicApplication
from exporter.net.quic.connect import connect_quic

if TYPE_CHECKING:
    from aioquic.h3.events import H3Event, Headers
    from aioquic.quic.events import QuicEvent

    from exporter.http.message import Exchange, WireRequest
    from exporter.http.shared import HttpShared
    from exporter.net.quic.connection import QuicChannel

HTTP3 = QuicApplication(
    name="HTTP/3",
    alpn="h3",
    codes=ErrorCode,
    no_error=ErrorCode.H3_NO_ERROR,
    cancelled=ErrorCode.H3_REQUEST_CANCELLED,
)
"""HTTP/3 as QUIC knows it; the codes include those of QPACK (RFC 9114 section 8.1, RFC 9204 section 6)."""

_FREE_FRAMING_BYTES = 1 << 17


async def exchange_over_http3(shared: HttpShared, request: WireRequest, exchange: Exchange) -> None:
    """Connect over QUIC, send the request, receive the answer, and close the connection.

    Args:
        shared: Makes the connection and counts it.
        request: What to send, and where.
        exchange: Filled as the exchange progresses, whatever the outcome.

    Raises:
        CheckFailed: As `connect_quic` and `Http3Protocol.exchange` do.
    """
    channel = await connect_quic(shared.network, request.endpoint, request.connect, HTTP3, exchange.connection)
    shared.counts.opened += 1
    shared.counts.requests += 1
    await Http3Protocol(request, exchange, channel).exchange()


class Http3Protocol:
    """One exchange over one connection; lives as long as the connection, which is never reused."""

    def __init__(self, request: WireRequest, exchange: Exchange, channel: QuicChannel) -> None:
        self._request = request
        self._exchange = exchange
        self._channel = channel
        self._response = ResponseReader(request, exchange)
        self._http = Http3Connection(channel.quic)
        self._stream = channel.quic.get_next_available_stream_id()
        self._bytes_before, self._datagrams_before = channel.received_bytes, channel.datagrams

    async def exchange(self) -> None:
        """Send the request and wait for the end of its answer; the connection is closed afterwards.

        Raises:
            CheckFailed: `protocol` when the answer breaks the rules of HTTP/3 or QUIC, is refused by the server or ends
                too early, `connection_reset` when the server reset the stream or disappeared, `timeout` when the
                connection was idle for too long, `too_large` when the body exceeds its limit, `decode` when it cannot
                be decoded. The exchange keeps what arrived before.
        """
        try:
            content = self._request.content
            if not self._channel.quic._remote_max_streams_bidi:  # noqa: SLF001 - aioquic has no public access to it
                self._exchange.attempt.note("the server accepts no requests: its limit of streams is 0")
            self._http.send_headers(self._stream, self._request.binary_head(), end_stream=not content)
            if content:
                self._http.send_data(self._stream, content, end_stream=True)
            self._channel.start(self)
            await self._response.settled()
        finally:
            self._settle()
            self._channel.close(ErrorCode.H3_NO_ERROR if self._exchange.ended_at else ErrorCode.H3_REQUEST_CANCELLED)

    # What the connection calls

    def quic_event_received(self, event: QuicEvent) -> None:
        """Handle a QUIC event."""
        if self._response.is_settled:
            return
        if isinstance(event, StreamReset) and event.stream_id == self._stream:
            self._take_reset(event.error_code)
        elif isinstance(event, StopSendingReceived) and event.stream_id == self._stream:
            self._exchange.attempt.note(
                "the server stopped reading the request", code=HTTP3.code_name(event.error_code)
            )
        if not isinstance(event, StreamDataReceived) or event.stream_id != self._stream or not event.end_stream:
            self._feed(event)
            return
        if event.data:
            self._feed(StreamDataReceived(data=event.data, end_stream=False, stream_id=event.stream_id))
        if not self._response.is_settled:
            self._feed(StreamDataReceived(data=b"", end_stream=True, stream_id=event.stream_id))

    def datagrams_received(self) -> None:
        """Reject endless empty datagrams, which never reach a limit on head or body."""
        if self._response.is_settled:
            return
        self._response.check_pieces(self._channel.datagrams - self._datagrams_before, "datagrams")
        framing_bytes = self._channel.received_bytes - self._bytes_before - self._exchange.wire_body_bytes
        self._response.check_framing(framing_bytes, _FREE_FRAMING_BYTES)

    def connection_lost(self, failure: CheckFailed) -> None:
        """Report how the connection ended, unless the answer was complete."""
        self._settle(failure)

    def _feed(self, event: QuicEvent) -> None:
        for found in self._http.handle_event(event):
            if not self._response.is_settled:
                self._take(found)
        refused_from = self._http.refused_from
        if refused_from is not None and refused_from <= self._stream and not self._response.is_settled:
            raise CheckFailed(Reason.PROTOCOL, "the server ended the connection with GOAWAY instead of an answer")

    def _take(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            raise CheckFailed(Reason.PROTOCOL, f"the response breaks HTTP/3: {type(event).__name__} came unasked")
        if event.stream_id != self._stream:
            detail = f"the response breaks HTTP/3: the server opened stream {event.stream_id}"
            raise CheckFailed(Reason.PROTOCOL, detail)
        if isinstance(event, DataReceived):
            if event.data:
                self._response.take_body(event.data)
            if event.stream_ended:
                self._end()
        elif not self._exchange.status:  # else they are trailers, which are ignored
            self._take_head(event.headers)

    def _take_head(self, fields: Headers) -> None:
        if dict(fields)[b":status"].startswith(b"1"):
            self._response.skip_informational()
            return
        has_body = self._response.take_binary_head(fields, "3")
        self._channel.doing = "reading the body"
        if not has_body:
            self._finish()

    def _take_reset(self, code: int) -> None:
        if code == ErrorCode.H3_VERSION_FALLBACK:
            raise CheckFailed(Reason.PROTOCOL, "the server wants another version of HTTP for this; set http3: false")
        raise CheckFailed(Reason.CONNECTION_RESET, f"the server reset the stream ({HTTP3.code_name(code)})")

    def _end(self) -> None:
        if not self._exchange.status:
            raise CheckFailed(Reason.PROTOCOL, "the server ended the stream without a response")
        self._finish()

    def _finish(self) -> None:
        self._settle(self._response.end())

    def _settle(self, failure: CheckFailed | None = None) -> None:
        if not self._response.is_settled:
            self._exchange.oddities = self._http.oddities.found()
            self._response.settle(failure)
