"""TLS on top of a connected socket: a transport for the protocol above, a protocol for the socket below.

A separate layer over OpenSSL instead of the event loop's, because the handshake is measured apart from TCP, and because
the certificates of a failed handshake can only be read from its connection object.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from OpenSSL import SSL

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.net.tls.client_handshake import ClientHandshake

if TYPE_CHECKING:
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.tls.context import TlsContext

_RECORD_BYTES = 16384  # the most plaintext that one record holds, RFC 8446 section 5.1
_SENT_BYTES = 20000  # a flight of a handshake, or a record; the C library clears up after every buffer of 64 KiB


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """One TLS connection; lives as long as its socket, on one event loop.

    The protocol above gets `connection_made` when the handshake is done, and no call when it fails; then `shake_hands`
    raises. Closing sends pending data and a close_notify, and does not wait for the peer's.
    """

    def __init__(
        self, protocol: asyncio.Protocol, context: TlsContext, server_name: str, facts: ConnectionFacts
    ) -> None:
        """Prepare to serve as the protocol of a socket.

        Args:
            protocol: The protocol above.
            context: Makes the connection and verifies its certificates.
            server_name: Name or IP address sent (names only) and verified.
            facts: Updated with the facts of the handshake.
        """
        super().__init__()
        self._handshake = ClientHandshake(context, server_name, facts)
        self._tls = self._handshake.tls
        self._protocol = protocol
        self._server_name = server_name
        self._socket: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._backlog: list[memoryview] = []
        self._paused = False
        self._closing = False
        self._cut_off = False
        self._broken: SSL.Error | None = None

    async def shake_hands(self) -> None:
        """Wait for the handshake, which starts when the connection is made.

        Raises:
            CheckFailed: With reason `certificate` when the peer's was rejected, `tls` when the handshake failed
                otherwise, `connection_reset` when the peer reset the connection.
        """
        if not self._handshake.is_done and self._handshake.failure is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._handshake.interrupt()
                raise
        if self._handshake.failure is not None:
            raise self._handshake.failure.anew()

    # The protocol of the socket below.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        self._socket = cast("asyncio.Transport", transport)
        self._handshake.begin(self)

    def data_received(self, data: bytes) -> None:
        """Decrypt received data."""
        if self._handshake.is_done:
            self._tls.bio_write(data)
        elif self._handshake.defers(partial(self.data_received, data)):
            return
        else:
            self._handshake.data_received(data)
        if self._handshake.is_done:
            self.deliver()

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the socket then closes by itself."""
        if self._handshake.is_done:
            self._cut_off = not self._tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN
            self._protocol.eof_received()
        elif not self._handshake.defers(self.eof_received):
            self._handshake.fail(CheckFailed(Reason.TLS, f"the peer closed the connection while {self._doing}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is lost."""
        if self._handshake.defers(partial(self.connection_lost, exc)):
            return
        self._closing = True
        if self._handshake.is_done:
            self._protocol.connection_lost(self._broken or exc)
        elif exc is None:
            self._handshake.fail(CheckFailed(Reason.TLS, f"the connection ended while {self._doing}"))
        else:
            self._handshake.fail(connection_failure(exc, self._doing))
        self._wake()

    def pause_writing(self) -> None:
        """Pass on that the socket's buffer is full."""
        if self._handshake.is_done:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket's buffer has room again."""
        if self._handshake.is_done:
            self._protocol.resume_writing()

    # The transport of the protocol above.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send data; after closing, drop it."""
        if data and not self._closing:
            self._backlog.append(memoryview(bytes(data)))
            self._flush_backlog()

    def close(self) -> None:
        """Send pending data and close, without waiting for the peer."""
        if self._closing or self._socket is None:
            return
        self._closing = True
        if not self._handshake.is_stepping:
            with suppress(SSL.Error):  # an unfinished handshake cannot send close_notify
                self._tls.shutdown()
            self.send_pending()
        self._handshake.end()
        self._socket.close()

    def abort(self) -> None:
        """Close immediately."""
        self._closing = True
        self._handshake.end()
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
        """Return `alpn_protocol`, `cut_off`, or the extra info of the socket below.

        `alpn_protocol` is the negotiated protocol, if any. `cut_off` is whether the connection ended without the peer's
        close_notify (RFC 8446 section 6.1), so that it is unknown whether there was more to come.
        """
        if name == "alpn_protocol":
            return self._tls.get_alpn_proto_negotiated().decode() or None
        if name == "cut_off":
            return self._cut_off
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

    @property
    def _doing(self) -> str:
        return f"shaking hands with {self._server_name}"

    # What the handshake needs.

    def handshake_done(self) -> None:
        """Connect the protocol above."""
        self._protocol.connection_made(self)
        self._wake()
        # The waiting task continues before this call, so that its first data is sent together with the end of the
        # handshake: one packet less, and less time spent in the system's network code.
        asyncio.get_running_loop().call_soon(self._end_handshake)

    def handshake_failed(self) -> None:
        """Close the socket."""
        self._closing = True
        if self._socket is not None:
            self._socket.close()
        self._wake()

    def send_pending(self) -> None:
        """Send what OpenSSL wants to send."""
        if self._socket is None:
            return
        with suppress(SSL.WantReadError):  # no more data
            while True:
                pending = self._tls.bio_read(_SENT_BYTES)
                self._socket.write(pending)
                if len(pending) < _SENT_BYTES:
                    return

    def _end_handshake(self) -> None:
        if not self._closing:
            self.send_pending()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

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
        if self._backlog:
            self._flush_backlog()
        elif not self._paused:
            self.send_pending()  # perhaps an answer to a key update

    def _flush_backlog(self) -> None:
        try:
            while self._backlog:
                sent = self._tls.send(self._backlog[0])  # a record at a time
                if sent < len(self._backlog[0]):
                    self._backlog[0] = self._backlog[0][sent:]
                else:
                    del self._backlog[0]
        except SSL.WantReadError:
            pass  # sending continues when more has been received
        except SSL.Error as error:
            self._break(error)
            return
        self.send_pending()

    def _break(self, error: SSL.Error) -> None:
        self._closing = True
        self._broken = error.with_traceback(None)  # which refers to this connection
        self.send_pending()
        if self._socket is not None:
            self._socket.close()
