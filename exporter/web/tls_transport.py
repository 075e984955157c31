"""The server's side of TLS: a transport for the protocol of a connection, a protocol for its socket.

The protocol above gets `connection_made` as soon as the connection is accepted, before the handshake, so that its
limits on number and time hold for handshakes too.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from OpenSSL import SSL

from exporter.net.errors import openssl_reason

if TYPE_CHECKING:
    from exporter.web_config import TlsServer

logger = logging.getLogger(__name__)

_RECORD_BYTES = 16384  # the most plaintext that one record holds, RFC 8446 section 5.1
_SENT_BYTES = 20000  # one record; the C library clears up after every buffer of 64 KiB
_HANDSHAKE_RECORD = 22  # the first byte of a ClientHello, RFC 8446 section 5.1
_NO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 28\r\n"
    b"Connection: close\r\n\r\nthis port is for HTTPS only\n"
)


class ServerTlsTransport(asyncio.Transport, asyncio.Protocol):
    """One TLS connection of the web server; lives as long as its socket, on the server's loop.

    A failed handshake closes the connection. Closing sends pending data and a close_notify, and does not wait for the
    peer's.
    """

    def __init__(self, protocol: asyncio.Protocol, tls: TlsServer) -> None:
        """Prepare to serve as the protocol of a socket.

        Args:
            protocol: The protocol above.
            tls: The configuration in force, also for the rest of the connection.
        """
        super().__init__()
        self._protocol = protocol
        self._configuration = tls
        self._tls = SSL.Connection(tls.context, None)
        self._tls.set_accept_state()
        self._socket: asyncio.Transport | None = None
        self._has_begun = False
        self._established = False
        self._backlog: list[memoryview] = []
        self._paused = False
        self._closing = False

    # The protocol of the socket below.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Announce the connection to the protocol above."""
        self._socket = cast("asyncio.Transport", transport)
        self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Continue the handshake, or decrypt what has arrived."""
        if self._closing:
            return
        if not self._has_begun:
            self._has_begun = True
            if data[0] != _HANDSHAKE_RECORD:
                self._refuse_plain_text(data)
                return
        self._tls.bio_write(data)
        if not self._established:
            self._continue_handshake()
        if self._established and not self._paused:
            self._deliver()

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the socket then closes by itself."""
        if self._established:
            self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is lost."""
        self._closing = True
        self._protocol.connection_lost(exc)

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
        with suppress(SSL.Error):  # an unfinished handshake cannot send close_notify
            self._tls.shutdown()
        self._send_pending()
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
            asyncio.get_running_loop().call_soon(self._deliver)

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
        """Return `sslcontext`, `client_certificate`, or the extra info of the socket below.

        `sslcontext` makes uvicorn call the scheme https. `client_certificate` is whether the client has presented a
        certificate that was accepted.
        """
        if name == "sslcontext":
            return self._configuration.context
        if name == "client_certificate":
            return self._established and self._tls.get_peer_certificate() is not None
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

    def _refuse_plain_text(self, data: bytes) -> None:
        """Answer a request that was sent without TLS, and nothing else."""
        self._closing = True
        if self._socket is None:
            return
        if data[:1].isalpha():
            self._socket.write(_NO_TLS)
        self._socket.close()

    def _continue_handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._send_pending()
        except SSL.Error as error:
            peer = self.get_extra_info("peername")
            logger.debug("TLS handshake with %s failed: %s", peer and peer[0], openssl_reason(error))
            self._give_up()
        else:
            self._established = True
            self._flush_backlog()

    def _deliver(self) -> None:
        while not self._paused and not self._closing:
            try:
                chunk = self._tls.recv(_RECORD_BYTES)
            except SSL.WantReadError:
                break  # nothing, or a partial record; the rest will come
            except SSL.ZeroReturnError:
                self._protocol.eof_received()
                self.close()
                return
            except SSL.Error:
                self._give_up()
                return
            self._protocol.data_received(chunk)
        if not self._closing:
            self._send_pending()  # perhaps an answer to a key update

    def _flush_backlog(self) -> None:
        for data in self._backlog:
            for start in range(0, len(data), _RECORD_BYTES):
                self._tls.sendall(data[start : start + _RECORD_BYTES])
                self._send_pending()
        self._backlog.clear()
        self._send_pending()

    def _give_up(self) -> None:
        """Send the alert with the reason, and close."""
        self._closing = True
        self._send_pending()
        if self._socket is not None:
            self._socket.close()

    def _send_pending(self) -> None:
        if self._socket is None:
            return
        with suppress(SSL.WantReadError):  # no more data
            while True:
                pending = self._tls.bio_read(_SENT_BYTES)
                self._socket.write(pending)
                if len(pending) < _SENT_BYTES:
                    return
