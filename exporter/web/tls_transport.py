"""The server's side of TLS.

The protocol above gets `connection_made` as soon as the connection is accepted, before the handshake, so that its
limits on number and time hold for handshakes too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from exporter.net.errors import openssl_reason
from exporter.net.tls.stream import TlsStream
from exporter.web_config import HTTP2

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from exporter.web_config import TlsServer

logger = logging.getLogger(__name__)

_HANDSHAKE_RECORD = 22  # the first byte of a ClientHello, RFC 8446 section 5.1
_NO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 28\r\n"
    b"Connection: close\r\n\r\nthis port is for HTTPS only\n"
)


class ServerTlsTransport(TlsStream):
    """One TLS connection of the web server; lives as long as its socket, on the server's loop.

    A failed handshake closes the connection.
    """

    def __init__(
        self, protocol: asyncio.Protocol, tls: TlsServer, switch_to_http2: Callable[[], asyncio.Protocol]
    ) -> None:
        """Prepare to serve as the protocol of a socket.

        Args:
            protocol: The protocol above.
            tls: The configuration in force, also for the rest of the connection.
            switch_to_http2: Called when HTTP/2 is chosen; returns the protocol that takes over from `protocol`.
        """
        super().__init__(protocol, SSL.Connection(tls.context, None))
        self._tls.set_accept_state()
        self._configuration = tls
        self._switch_to_http2 = switch_to_http2
        self._has_begun = False

    # The protocol of the socket below.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Announce the connection to the protocol above."""
        super().connection_made(transport)
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
            self.deliver()

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the socket then closes by itself."""
        if self._established:
            self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is lost."""
        self._closing = True
        self._protocol.connection_lost(exc)

    # The transport of the protocol above.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `sslcontext`, `client_certificate`, or the extra info of the socket below.

        `sslcontext` makes uvicorn call the scheme https. `client_certificate` is whether the client has presented a
        certificate that was accepted.
        """
        if name == "sslcontext":
            return self._configuration.context
        if name == "client_certificate":
            return self._established and self._tls.get_peer_certificate() is not None
        return super().get_extra_info(name, default)

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
            self.send_pending()
        except SSL.Error as error:
            peer = self.get_extra_info("peername")
            logger.debug("TLS handshake with %s failed: %s", peer and peer[0], openssl_reason(error))
            self._break(error)
        else:
            self._established = True
            if self._tls.get_alpn_proto_negotiated() == HTTP2:
                self._protocol = self._switch_to_http2()
            self._flush_backlog()
