"""TLS over a connected transport: a transport for the protocol above, a protocol for the socket below.

Our own layer over ssl.SSLObject instead of the event loop's, because the handshake must be measured apart from TCP, and
because the certificates of a *refused* handshake can be read only while its SSL object is at hand.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.certificates import TlsFacts, certificate_facts, earliest_expiry
from exporter.net.failures import connection_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.net.phases import ConnectionFacts

_RECORD_BYTES = 16384  # the most plaintext in one TLS record, RFC 8446 section 5.1
_DER = 2  # ssl._ssl.ENCODING_DER


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """One TLS connection; lives as long as its socket. `handshaken` resolves when the protocol above was told of it.

    Closing sends what is pending and a close_notify, and does not wait for the peer's.
    """

    def __init__(
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        server_name: str,
        facts: ConnectionFacts,
        doing: str,
    ) -> None:
        super().__init__()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._protocol_factory = protocol_factory
        self._facts = facts
        self._doing = doing
        self._verifying = context.verify_mode is ssl.CERT_REQUIRED
        self._started = 0.0
        self._below: asyncio.Transport | None = None
        self._protocol: asyncio.Protocol | None = None
        self._backlog: list[bytes] = []
        self._paused = False
        self._closing = False
        self.handshaken: asyncio.Future[asyncio.Protocol] = asyncio.get_running_loop().create_future()

    # The protocol of the socket below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        assert isinstance(transport, asyncio.Transport) or True
        self._below = transport  # type: ignore[assignment]
        self._started = perf_counter()
        self._handshake()

    def data_received(self, data: bytes) -> None:
        """Decrypt what came."""
        self._incoming.write(data)
        if self._protocol is None:
            self._handshake()
        if self._protocol is not None:
            self._deliver()

    def eof_received(self) -> None:
        """Tell the protocol above, or fail the handshake; the socket is closed then."""
        if self._protocol is not None:
            self._protocol.eof_received()
        else:
            self._fail(CheckFailed(Reason.TLS, f"the peer closed the connection while {self._doing}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above, or fail the handshake."""
        self._closing = True
        if self._protocol is not None:
            self._protocol.connection_lost(exc)
        elif exc is not None:
            self._fail(connection_failure(exc, self._doing))
        else:
            self._fail(CheckFailed(Reason.TLS, f"the connection ended while {self._doing}"))

    def pause_writing(self) -> None:
        """Pass on that the socket's buffer is full."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket's buffer has room."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    # The transport of the protocol above

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send."""
        if self._closing or not data:
            return
        self._backlog.append(bytes(data))
        self._flush_backlog()

    def close(self) -> None:
        """Close after sending what is pending, without waiting for the peer."""
        if self._closing:
            return
        self._closing = True
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # unwrap() wants the peer's close_notify, which is not waited for; ours is in the buffer
        self._send_pending()
        if self._below is not None:
            self._below.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if self._below is not None:
            self._below.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Stop delivering data."""
        self._paused = True
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again, what was decrypted meanwhile first."""
        if self._paused and self._below is not None:
            self._paused = False
            self._below.resume_reading()
            asyncio.get_running_loop().call_soon(self._deliver)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give `ssl_object`, or what the socket below knows."""
        if name == "ssl_object":
            return self._tls
        return default if self._below is None else self._below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._protocol = protocol  # type: ignore[assignment]

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Give the protocol above."""
        assert self._protocol is not None
        return self._protocol

    def can_write_eof(self) -> bool:
        """TLS connections are not closed by halves here."""
        return False

    # Inside

    def _handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send_pending()
            return
        except ssl.SSLError as error:
            self._send_pending()
            self._take_facts(verified=False)
            self._fail(connection_failure(error, self._doing))
            return
        self._send_pending()
        self._facts.ready_at = perf_counter()
        self._take_facts(verified=self._verifying)
        self._facts.tls_seconds = self._facts.ready_at - self._started
        self._protocol = self._protocol_factory()
        self._protocol.connection_made(self)
        if not self.handshaken.done():
            self.handshaken.set_result(self._protocol)

    def _take_facts(self, *, verified: bool) -> None:
        cipher = self._tls.cipher()
        presented = tuple(map(certificate_facts, presented_chain(self._tls)))
        chain = tuple(map(certificate_facts, verified_chain(self._tls))) if verified else ()
        self._facts.tls = TlsFacts(
            version=(self._tls.version() or "").replace("TLSv", "TLS "),
            cipher=cipher[0] if cipher else "",
            verified=verified,
            presented=presented,
            chain_expiry_timestamp_seconds=earliest_expiry(chain),
        )

    def _fail(self, failure: CheckFailed) -> None:
        self._closing = True
        if self._started:
            self._facts.tls_seconds = perf_counter() - self._started
        if not self.handshaken.done():
            self.handshaken.set_exception(failure)
        if self._below is not None:
            self._below.close()

    def _deliver(self) -> None:
        try:
            while not self._paused and not self._closing and self._protocol is not None:
                chunk = self._tls.read(_RECORD_BYTES)
                if not chunk:
                    self._protocol.eof_received()
                    self.close()
                    return
                self._protocol.data_received(chunk)
        except ssl.SSLWantReadError:
            self._flush_backlog()
        except ssl.SSLError as error:
            self._closing = True
            self._send_pending()
            if self._below is not None:
                self._below.close()
            if self._protocol is not None:
                protocol, self._protocol = self._protocol, None
                protocol.connection_lost(error)

    def _flush_backlog(self) -> None:
        try:
            while self._backlog:
                self._tls.write(self._backlog[0])
                del self._backlog[0]
        except ssl.SSLWantReadError:
            pass  # the peer renegotiates (TLS 1.2); goes on when it has answered
        self._send_pending()

    def _send_pending(self) -> None:
        if self._outgoing.pending and self._below is not None:
            self._below.write(self._outgoing.read())


def presented_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Give the certificates the peer sent, as DER, also after its refusal (OpenSSL 3 or newer)."""
    if sys.version_info >= (3, 13):
        return list(tls.get_unverified_chain())
    return _private_chain(tls, "get_unverified_chain")


def verified_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Give the chain that was verified, from the peer's certificate to the trust anchor, as DER."""
    if sys.version_info >= (3, 13):
        return list(tls.get_verified_chain())
    return _private_chain(tls, "get_verified_chain")


def _private_chain(tls: Any, method: str) -> list[bytes]:
    return [certificate.public_bytes(_DER) for certificate in getattr(tls._sslobj, method)() or ()]  # noqa: SLF001 - public from Python 3.13
