"""HTTP/2, one exchange: one stream, one request, one answer. Source: RFC 9113.

h2 keeps the states, windows and header tables. Frames are inspected here first, because h2 ends a connection at the
first GOAWAY, even one that lets the current request complete. h2 itself rejects header lists beyond 64 KiB and more
than 64 CONTINUATION frames; this module rejects everything that goes on longer than a response needs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from exporter.errors import CheckFailed
from exporter.http.contained import without_octets
from exporter.http.http2_session import FRAME_HEAD_BYTES, GOAWAY, HEADERS, Http2Session
from exporter.http.response import ResponseReader
from exporter.model import Reason
from exporter.net.connect import close_without_waiting

if TYPE_CHECKING:
    from h2.events import Event

    from exporter.http.message import Exchange, WireRequest

_FREE_FRAMING_BYTES = 1 << 17


class Http2Protocol(asyncio.Protocol):
    """One exchange over one connection; lives as long as the exchange.

    Attributes:
        session: The state of the connection that outlives the exchange.
        answer_began: Whether any part of an answer has arrived, including a refusal by stream reset.
    """

    def __init__(self, request: WireRequest, exchange: Exchange, session: Http2Session | None = None) -> None:
        """Prepare the exchange.

        Args:
            request: The request.
            exchange: Filled as the exchange progresses.
            session: The session of earlier exchanges; None for the first one of a connection.
        """
        self.session = session or Http2Session()
        self.answer_began = False
        self._request = request
        self._exchange = exchange
        self._transport: asyncio.Transport | None = None
        self._fed_bytes = 0
        self._frames = 0
        self._unsent = memoryview(request.content)
        self._response = ResponseReader(request, exchange)
        self._ended = False
        self._connection = self.session.connection
        self._stream = self.session.begin_request()

    async def exchange(self, transport: asyncio.Transport) -> None:
        """Send the request and wait for the end of its answer.

        The connection is closed afterwards, unless the request keeps it and both sides have ended the stream, so that
        the next one can be opened.

        Raises:
            CheckFailed: `protocol` when the answer breaks the rules of HTTP/2, is refused by the server or ends too
                early, `connection_reset` when the connection broke or the server reset the stream, `too_large` when
                head or body exceed their limits, `decode` when the body cannot be decoded. The exchange keeps what
                arrived before.
        """
        self._transport = transport
        try:
            if not self._response.is_settled:
                self._send_request()
            await self._response.settled()
        except BaseException:
            self._settle()
            transport.abort()
            raise
        if self._leaves_usable(transport):
            return
        self._connection.close_connection()
        self._flush()
        close_without_waiting(transport)

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Parse received data, frame by frame."""
        if self._response.is_settled:
            self.session.buffer += data  # it is inspected when the connection is kept
            return
        if not (self._fed_bytes or self.session.buffer) and data.startswith(b"HTTP/"):
            self._settle(CheckFailed(Reason.PROTOCOL, "the server agreed on HTTP/2 and answers in HTTP/1"))
            return
        self._fed_bytes += len(data)
        self.session.buffer += data
        response = self._response
        try:
            while not response.is_settled and (frame := self.session.next_frame()):
                self._frames += 1
                response.check_pieces(self._frames, "frames")
                self.answer_began = self.answer_began or frame[3] == HEADERS
                if frame[3] == GOAWAY:
                    self._go_away(frame)
                else:
                    for event in self._connection.receive_data(frame):
                        self._take(event)
            framing_bytes = self._fed_bytes - self._exchange.wire_body_bytes - len(self.session.buffer)
            response.check_framing(framing_bytes, _FREE_FRAMING_BYTES)
            self._send_body()
        except CheckFailed as failure:
            self._settle(failure)
        except H2Error as error:
            self._settle(CheckFailed(Reason.PROTOCOL, f"the response breaks HTTP/2: {without_octets(error)}"))
        self._flush()

    def eof_received(self) -> None:
        """Fail: the answer can no longer be completed."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report how the connection ended, unless the answer was complete."""
        if not self._response.is_settled:
            self._settle(self._response.cut_short(exc))

    def _send_request(self) -> None:
        try:
            self._connection.send_headers(self._stream, self._request.binary_head(), end_stream=not self._unsent)
            self._send_body()
        except H2Error as error:
            why = without_octets(error)
            raise CheckFailed(Reason.PROTOCOL, f"the server does not accept the request: {why}") from error
        self._flush()

    def _send_body(self) -> None:
        """Send as much as the server's windows allow."""
        connection = self._connection
        while self._unsent and not self._response.is_settled and self._transport is not None:
            window = connection.local_flow_control_window(self._stream)
            room = min(window, connection.max_outbound_frame_size)
            if room <= 0:
                return
            piece, self._unsent = self._unsent[:room], self._unsent[room:]
            connection.send_data(self._stream, bytes(piece), end_stream=not self._unsent)

    def _leaves_usable(self, transport: asyncio.Transport) -> bool:
        return (
            self._request.options.keep_alive
            and self._ended
            and not self._unsent
            and not self._exchange.oddities
            and not self.session.goes_away
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def _go_away(self, frame: bytes) -> None:
        """Handle that the server takes no more requests; one it has accepted continues (section 6.8)."""
        self.session.goes_away = True
        payload = frame[FRAME_HEAD_BYTES:]
        last_stream, code = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, int.from_bytes(payload[4:8], "big")
        if len(payload) < 8 or code or last_stream < self._stream:
            raise CheckFailed(Reason.PROTOCOL, f"the server ended the connection with GOAWAY ({_code_name(code)})")

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            self._take_head(event)
        elif isinstance(event, DataReceived):
            self._take_body(event)
        elif isinstance(event, StreamEnded):
            self._ended = True
            self._finish()
        elif isinstance(event, StreamReset):
            self._take_reset(event.error_code)
        elif isinstance(event, InformationalResponseReceived):
            self._response.skip_informational()
        elif isinstance(event, RemoteSettingsChanged):
            streams = event.changed_settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
            if streams is not None and not streams.new_value:
                self._exchange.attempt.note("the server accepts no requests: its limit of concurrent streams is 0")
        elif isinstance(event, WindowUpdated):
            self._send_body()

    def _take_head(self, event: ResponseReceived) -> None:
        self._response.take_binary_head(event.headers, "2")
        if self._response.stops_here:
            self._finish()

    def _take_body(self, event: DataReceived) -> None:
        self._response.take_body(event.data)
        self._connection.acknowledge_received_data(event.flow_controlled_length, self._stream)

    def _take_reset(self, code: int) -> None:
        self.answer_began = self.answer_began or code != ErrorCodes.REFUSED_STREAM  # then nothing was done, section 8.7
        if code == ErrorCodes.HTTP_1_1_REQUIRED:
            raise CheckFailed(Reason.PROTOCOL, "the server wants HTTP/1.1 for this; set http2: false")
        raise CheckFailed(Reason.CONNECTION_RESET, f"the server reset the stream ({_code_name(code)})")

    def _finish(self) -> None:
        if not self._response.is_settled:
            self._settle(self._response.end())

    def _flush(self) -> None:
        if self._transport is not None and (data := self._connection.data_to_send()):
            self._transport.write(data)

    def _settle(self, failure: CheckFailed | None = None) -> None:
        if not self._response.is_settled:
            self._exchange.oddities = self.session.oddities
            self._response.settle(failure)


def _code_name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error code {code:#x}"
