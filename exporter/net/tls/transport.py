"""The client's side of TLS on top of a connected socket."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.net.tls.client_handshake import ClientHandshake
from exporter.net.tls.stream import TlsStream

if TYPE_CHECKING:
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.tls.context import TlsContext


_ALERT = 21  # a record's first byte, RFC 5246 section 6.2.1; TLS 1.3 disguises alerts as data


class TlsTransport(TlsStream):
    """One TLS connection to a server; lives as long as its socket, on one event loop.

    The protocol above gets `connection_made` when the handshake is done, and no call when it fails; then `shake_hands`
    raises.
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
        self._handshake = ClientHandshake(context, server_name, facts)
        super().__init__(protocol, self._handshake.tls)
        self._server_name = server_name
        self._waiter: asyncio.Future[None] | None = None
        self._cut_off = False
        self._has_declined = False
        self._owes_finished = False

    async def shake_hands(self) -> None:
        """Wait for the handshake, which starts when the connection is made.

        Raises:
            CheckFailed: With reason `certificate` when the peer's was rejected, `tls` when the handshake failed
                otherwise, `connection_reset` when the peer reset the connection.
        """
        if not self._established and self._handshake.failure is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._handshake.interrupt()
                raise
        if self._handshake.failure is not None:
            raise self._handshake.failure.fresh_copy()

    # The protocol of the socket below.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        super().connection_made(transport)
        self._handshake.begin(self)

    def data_received(self, data: bytes) -> None:
        """Decrypt received data."""
        if self._established:
            self._tls.bio_write(data)
        elif self._handshake.defers(partial(self.data_received, data)):
            return
        else:
            self._handshake.data_received(data)
        if self._established:
            self.deliver()

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the socket then closes by itself."""
        if self._established:
            self._cut_off = not self._tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN
            self._protocol.eof_received()
        elif not self._handshake.defers(self.eof_received):
            self._handshake.fail(CheckFailed(Reason.TLS, f"the peer closed the connection while {self._doing}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is lost."""
        if self._handshake.defers(partial(self.connection_lost, exc)):
            return
        self._closing = True
        if self._established:
            self._protocol.connection_lost(self._explained(self._broken or exc))
        elif exc is None:
            self._handshake.fail(CheckFailed(Reason.TLS, f"the connection ended while {self._doing}"))
        else:
            self._handshake.fail(connection_failure(exc, self._doing))
        self._wake()

    def pause_writing(self) -> None:
        """Pass on that the socket's buffer is full."""
        if self._established:
            super().pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket's buffer has room again."""
        if self._established:
            super().resume_writing()

    # The transport of the protocol above.

    def abort(self) -> None:
        """Close immediately."""
        self._handshake.end()
        super().abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `alpn_protocol`, `cut_off`, `verified_chain`, or the extra info of the socket below.

        `alpn_protocol` is the negotiated protocol, if any. `cut_off` is whether the connection ended without the peer's
        close_notify (RFC 8446 section 6.1), so that it is unknown whether there was more to come. `verified_chain` has
        the certificates in DER.
        """
        if name == "alpn_protocol":
            return self._tls.get_alpn_proto_negotiated().decode() or None
        if name == "cut_off":
            return self._cut_off
        if name == "verified_chain":
            return self._handshake.verified_chain()
        return super().get_extra_info(name, default)

    # What the handshake needs.

    def handshake_done(self) -> None:
        """Connect the protocol above."""
        self._established = self._owes_finished = True
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

    def send_records(self, records: bytes) -> None:
        """Note when OpenSSL declines a renegotiation: before the end, no other alert is sent (RFC 5246 section 7.2)."""
        if records[0] == _ALERT and self._established and not self._closing:
            self._has_declined = True
        self._owes_finished = False
        super().send_records(records)

    def _explained(self, error: Exception | None) -> Exception | None:
        """Return why the connection was lost, if a declined renegotiation explains that."""
        if error is None or not self._has_declined:
            return error
        detail = f"{self._server_name} ended the connection because it could not renegotiate, which is not supported"
        return CheckFailed(Reason.TLS, f"{detail}; perhaps it asks for client certificates only after a request")

    def _end_handshake(self) -> None:
        if self._owes_finished and not self._closing:
            self.send_pending()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def send_close_notify(self) -> None:
        """Tell the peer that nothing more follows, unless a step of the handshake is under way in a thread."""
        if not self._handshake.is_stepping:
            super().send_close_notify()
        self._handshake.end()

    @property
    def _doing(self) -> str:
        return f"shaking hands with {self._server_name}"
