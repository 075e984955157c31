"""What both ends of a TLS connection share: a transport for the protocol above, a protocol for the socket below.

A separate layer over OpenSSL instead of the event loop's, because the handshake is measured apart from TCP, because
the certificates of a failed handshake can only be read from its connection object, and because the server limits
connections from their first byte.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from OpenSSL import SSL

_RECORD_BYTES = 16384  # the most plaintext that one record holds, RFC 8446 section 5.1
_SENT_BYTES = 20000  # a flight of a handshake, or a record; the C library clears up after every buffer of 64 KiB


class TlsStream(asyncio.Transport, asyncio.Protocol):
    """The encrypted stream of one connection; lives as long as its socket, on one event loop.

    A subclass shakes hands and then sets `_established`; nothing written is sent before. Closing sends pending data and
    a close_notify, and does not wait for the peer's.
    """

    def __init__(self, protocol: asyncio.Protocol, tls: SSL.Connection) -> None:
        """Prepare to serve as the protocol of a socket.

        Args:
            protocol: The protocol above.
            tls: OpenSSL's connection, without a socket of its own.
        """
        super().__init__()
        self._protocol = protocol
        self._tls = tls
        self._socket: asyncio.Transport | None = None
        self._established = False
        self._backlog: list[memoryview] = []
        self._paused = False
        self._closing = False
        self._broken: SSL.Error | None = None

    # The protocol of the socket below.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._socket = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        """Pass on that the socket's buffer is full."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket's buffer has room again."""
        self._protocol.resume_writing()

    # The transport of the protocol above.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send data; after closing, drop it."""
        if data and not self._closing:
            self._backlog.append(memoryview(bytes(data)))
            if self._established:
                self._flush_backlog()

    def close(self) -> None:
        """Send pending data and close, without waiting for the peer."""
        if self._closing or self._socket is None:
            return
        self._closing = True
        self.send_close_notify()
        self._socket.close()

    def abort(self) -> None:
        """Close immediately."""
        self._closing = True
        if self._socket is not None:
            self._socket.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._closing

    def pause_reading(self) -> None:
        """Stop delivering data."""
        if not self._paused and self._socket is not None:
            self._paused = True
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again, starting with what was received in between."""
        if self._paused and self._socket is not None:
            self._paused = False
            self._socket.resume_reading()
            asyncio.get_running_loop().call_soon(self.deliver)

    def is_reading(self) -> bool:
        """Whether data is delivered."""
        return not self._paused and not self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Switch the connection to another protocol."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the extra info of the socket below."""
        return default if self._socket is None else self._socket.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes not yet passed to the system."""
        return 0 if self._socket is None else self._socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when `pause_writing` and `resume_writing` are called."""
        if self._socket is not None:
            self._socket.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """Return False: one direction cannot be closed alone."""
        return False

    # Shared by both.

    def send_pending(self) -> None:
        """Send what OpenSSL wants to send."""
        if self._socket is None:
            return
        while True:
            try:
                pending = self._tls.bio_read(_SENT_BYTES)
            except SSL.WantReadError:
                return  # nothing is pending
            self.send_records(pending)
            if len(pending) < _SENT_BYTES:
                return

    def send_records(self, records: bytes) -> None:
        """Pass encrypted records to the socket."""
        if self._socket is not None:
            self._socket.write(records)

    def deliver(self) -> None:
        """Decrypt what has arrived and pass it on, unless reading is paused."""
        while not self._paused and not self._closing:
            try:
                chunk = self._tls.recv(_RECORD_BYTES)
            except SSL.WantReadError:
                break  # nothing, or a partial record; the rest will come
            except SSL.ZeroReturnError:
                self._protocol.eof_received()
                self.close()
                return
            except SSL.Error as error:
                self._break(error)
                return
            self._protocol.data_received(chunk)
        if not self._closing and (self._backlog or self._answers_alone()):
            self._flush_backlog()

    def _answers_alone(self) -> bool:
        """Whether OpenSSL may have an answer to what was received, other than data, that has to be sent now.

        In TLS 1.2 a renegotiation is declined (RFC 5246 section 7.2.2); in TLS 1.3 a key update is answered before the
        next data (RFC 8446 section 4.6.3).
        """
        return self._tls.get_protocol_version() < SSL.TLS1_3_VERSION

    def _flush_backlog(self) -> None:
        try:
            while self._backlog:
                sent = self._tls.send(self._backlog[0])  # a record at a time
                if sent < len(self._backlog[0]):
                    self._backlog[0] = self._backlog[0][sent:]
                else:
                    del self._backlog[0]
                if self._backlog:
                    self.send_pending()
        except SSL.WantReadError:
            pass  # sending continues when more has been received
        except SSL.Error as error:
            self._break(error)
            return
        self.send_pending()

    def send_close_notify(self) -> None:
        """Tell the peer that nothing more follows; a part of `close`."""
        with suppress(SSL.Error):  # an unfinished handshake cannot send it
            self._tls.shutdown()
        self.send_pending()

    def _break(self, error: SSL.Error) -> None:
        """Send the alert with the reason, and close."""
        self._closing = True
        self._broken = error.with_traceback(None)  # which refers to this connection
        self.send_pending()
        if self._socket is not None:
            self._socket.close()
