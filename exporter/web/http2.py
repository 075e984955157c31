"""HTTP/2 on one connection, within the limits of `exporter.web.limits`. Source: RFC 9113.

h2 keeps the states, windows and header tables; `exporter.web.http2_stream` has the requests and responses.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from exporter.web.http2_stream import Http2Stream, request_scope
from exporter.web.limits import CLIENT_CERTIFICATE, MAX_HEAD_BYTES, BoundedConnection

if TYPE_CHECKING:
    from h2.events import Event

    from exporter.web.http1 import Http1Protocol

MOST_STREAMS = 100
"""Maximum concurrent requests on a connection: the minimum that section 5.1.2 recommends, and what clients assume."""

MOST_CANCELLED = 100
"""Maximum requests that a client may cancel on a connection: cancelling costs the client less than the server."""

_FREE_BYTES, _FREE_BYTES_PER_REQUEST, _SENT_PER_FREE_BYTE = 1 << 14, 1 << 12, 64
"""How much a client may send besides requests and their bodies: frames such as PING cost time and bring nothing.
Windows are opened for what is sent, by Go twice for each 4 KiB."""

_GOAWAY_HEAD = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00"  # length, type, flags, stream

_LONGEST_AGES = 2
_LINGER_SECONDS = 0.2
"""How long a client has to close the connection itself. If the server closed it at once, what the client sends in the
meantime would destroy the end of the response on its way."""


class Http2Protocol(BoundedConnection, asyncio.Protocol):
    """One connection; lives as long as its socket, on the server's loop."""

    def __init__(self, first: Http1Protocol) -> None:
        """Take over a connection when its client has chosen HTTP/2 in the TLS handshake.

        Args:
            first: The protocol that had the connection until then.
        """
        first.hand_over()
        self.limits, self.health_paths, self.app = first.limits, first.health_paths, first.app
        self.connections, self.loop, self.transport = first.connections, first.loop, first.transport
        self.connections.add(self)
        self.made_at = self._idle_since = first.made_at
        self._server_state = first.server_state
        self._addresses = {"client": first.client, "server": first.server}
        self._state = first.app_state
        self._idle_limit_seconds = first.timeout_keep_alive
        self._streams: dict[int, Http2Stream] = {}
        self._most_recent = 0
        self._cancelled = 0
        self._free_bytes = _FREE_BYTES
        self._is_full = False
        self._is_stopping = self._goes_away = self._has_given_up = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._await_head()
        self._h2 = _begun()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Act on the frames that arrived; a client that breaks the rules loses the connection."""
        if self._has_given_up:
            return
        self._free_bytes -= len(data)
        try:
            for event in self._h2.receive_data(data):
                self._act_on(event)
                if self._has_given_up:
                    return
        except ProtocolError:
            self._give_up()  # h2 has written what was wrong
        else:
            if self._free_bytes < 0:
                self._reject()
            self.send_bodies()

    def eof_received(self) -> None:
        """Let the transport close the connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers, and whatever is done for the client alone."""
        self.connections.discard(self)
        self._cancel_head_timer()
        self._cancel_idle_timer()
        self._leave_streams()

    def pause_writing(self) -> None:
        """Read nothing more until the client reads: each frame may have an answer, which would take memory."""
        self._is_full = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Continue to send and to read."""
        self._is_full = False
        if not self._has_given_up and not self.transport.is_closing():
            self.transport.resume_reading()
            self.send_bodies()

    def shutdown(self) -> None:
        """Take no more requests, and close once the present ones are answered; uvicorn calls this when it stops."""
        self._is_stopping = True
        self._go_away_if_possible()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return not self._streams and not self.transport.get_write_buffer_size()

    @property
    def is_new(self) -> bool:
        """Whether no request has arrived on it yet."""
        return not self._most_recent and not self.transport.is_closing()

    # For its streams.

    @property
    def h2(self) -> H2Connection:
        """The states, windows and header tables."""
        return self._h2

    def send_bodies(self) -> None:
        """Send what the windows and the socket allow, in turn a frame of each response."""
        waiting = deque(self._streams.values())
        while waiting and not self._is_full:
            stream = waiting.popleft()
            if stream.send_frame():
                waiting.append(stream)
            self._flush()
        self._flush()

    def give_up_later(self) -> asyncio.TimerHandle:
        """Close the connection unless the client reads a response in time; the caller cancels this when it has."""
        return self.loop.call_later(self.limits.response_seconds, self.transport.abort)

    def end(self, stream: Http2Stream) -> None:
        """Forget a stream whose response is complete, or will never be."""
        if self._streams.pop(stream.number, None) is None:
            return
        self._server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if stream.is_last or self._is_stopping or self._is_old:
            self._go_away_if_possible()
        self._limit_idleness()

    # The frames.

    def _act_on(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._free_bytes += event.flow_controlled_length or 0
        if isinstance(event, RequestReceived):
            self._free_bytes += _FREE_BYTES_PER_REQUEST
            self._begin_stream(event)
        elif isinstance(event, ConnectionTerminated):
            self._give_up()
        elif (stream := self._streams.get(getattr(event, "stream_id", None) or 0)) is None:
            if isinstance(event, DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, DataReceived):
            stream.receive_body(event.data or b"", event.flow_controlled_length or 0)
        elif isinstance(event, StreamEnded):
            stream.receive_end()
        elif isinstance(event, StreamReset):
            self._cancel(stream)

    def _begin_stream(self, event: RequestReceived) -> None:
        self._cancel_head_timer()
        number = event.stream_id or 0
        if self._goes_away or self._is_stopping:
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)  # so that the client may repeat it elsewhere
            return
        self._cancel_idle_timer()
        self._most_recent = number
        has_certificate = self.transport.get_extra_info(CLIENT_CERTIFICATE, default=False)
        state = {**self._state, CLIENT_CERTIFICATE: has_certificate}
        scope = request_scope(event.headers or [], {**self._addresses, "state": state})
        stream = Http2Stream(self, number, scope, self._server_state.default_headers)
        self._streams[number] = stream
        task = self.loop.create_task(stream.run(self.app))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def _cancel(self, stream: Http2Stream) -> None:
        stream.leave()
        self.end(stream)
        self._cancelled += 1
        if self._cancelled > MOST_CANCELLED:
            self._reject()

    def _reject(self) -> None:
        """End the connection of a client that causes more work than its requests justify."""
        self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        self._give_up()

    # The end.

    def _go_away_if_possible(self) -> None:
        """Send GOAWAY when no request is in progress, because some clients, such as httpx, abandon open requests then.

        A very old connection that is never idle gets it anyway.
        """
        if not self._streams or self._age_seconds > _LONGEST_AGES * self.limits.age_seconds:
            self._go_away()

    def _go_away(self) -> None:
        """Announce that this connection takes no more requests; close it when there are none."""
        if self._goes_away:
            return
        self._goes_away = True
        # h2 would consider the connection closed, although the present responses follow (section 6.8).
        self._flush()
        self.transport.write(_GOAWAY_HEAD + self._most_recent.to_bytes(4) + ErrorCodes.NO_ERROR.to_bytes(4))
        self._limit_idleness()

    def _limit_idleness(self) -> None:
        """Close the connection in a while, or in a moment after a GOAWAY, unless there are requests to answer."""
        if self._streams:
            return
        self._cancel_idle_timer()
        if self._goes_away:
            self._idle_timer = self.loop.call_later(_LINGER_SECONDS, self._close)
        else:
            self._idle_timer = self.loop.call_later(self._idle_limit_seconds, self._go_away)

    def _close(self) -> None:
        """Close; the client has a limited time to read what is still in the socket's buffer."""
        self._cancel_idle_timer()
        self.transport.close()
        self._idle_timer = self.loop.call_later(self.limits.response_seconds, self.transport.abort)

    def _give_up(self) -> None:
        """Close although there may be requests to answer; nothing more is read."""
        self._goes_away = self._has_given_up = True
        self.transport.pause_reading()
        self._leave_streams()
        self._flush()
        self._limit_idleness()

    def _leave_streams(self) -> None:
        for stream in self._streams.values():
            stream.leave()
        self._streams.clear()

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._free_bytes += len(data) // _SENT_PER_FREE_BYTE
            self.transport.write(data)


def _begun() -> H2Connection:
    """Return a connection that has sent its settings."""
    connection = H2Connection(H2Configuration(client_side=False, header_encoding=False))
    connection.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
        },
    )
    connection.decoder.max_header_list_size = MAX_HEAD_BYTES
    connection.initiate_connection()
    return connection
