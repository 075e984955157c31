"""A measured connection that is read and written like a file: plain, over TLS, or plain first and then over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.connect import close_without_waiting, shake_hands
from exporter.net.connect_options import connect_options
from exporter.net.connection_report import report_tls
from exporter.net.tls.context_recipe import context_recipe
from exporter.net.tls.transport import TlsTransport
from exporter.quantities import counted

if TYPE_CHECKING:
    from types import TracebackType

    from exporter.addresses import Endpoint
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.network import Network
    from exporter.net.received import ReceivedBytes
    from exporter.settings import TlsConfig

MAX_LINE_BYTES = 8192
"""Default limit of a line, its line break included."""


class Stream:
    """One connection to a target; lives until it is closed, at the latest at the end of its `async with` block.

    One task reads and writes it. Unread bytes are bounded: a peer that sends faster than it is read has to wait.

    Attributes:
        facts: What is known about the connection.
    """

    def __init__(
        self,
        network: Network,
        endpoint: Endpoint,
        options: ConnectOptions,
        received: ReceivedBytes,
        facts: ConnectionFacts,
    ) -> None:
        self.facts = facts
        self._network = network
        self._endpoint = endpoint
        self._settings = options.settings
        self._received = received
        self._is_encrypted = facts.tls is not None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def buffered(self) -> bytes:
        """Bytes that have been received and not yet read."""
        return bytes(self._received.buffer)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be received."""
        return self._received.is_over

    @property
    def alpn_protocol(self) -> str | None:
        """The application protocol that the TLS handshake agreed on; None for none."""
        protocol: str | None = self._received.transport.get_extra_info("alpn_protocol")
        return protocol

    def verified_chain(self) -> tuple[bytes, ...]:
        """Return the verified certificates in DER, from the peer's to the authority; empty when none were verified."""
        chain: tuple[bytes, ...] = self._received.transport.get_extra_info("verified_chain", ())
        return chain

    async def read(self, max_bytes: int) -> bytes:
        """Return up to `max_bytes` bytes as soon as there are any; empty when the peer has closed.

        Raises:
            CheckFailed: When the connection broke.
        """
        return await self._received.take(max_bytes)

    async def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            CheckFailed: With reason `protocol` when the peer closed after some of them, `connection_reset` when it
                closed before or the connection broke.
        """
        return await self._received.take_message(
            lambda buffer: size if len(buffer) >= size else 0, counted(size, "byte")
        )

    async def read_until(self, separator: bytes, limit_bytes: int) -> bytes:
        """Return the bytes up to a separator, with it.

        Args:
            separator: At least one byte.
            limit_bytes: How many bytes there may be, the separator included.

        Raises:
            CheckFailed: As `read_exactly`, and with reason `protocol` when there is no separator within the limit.
        """
        searched = 0

        def end_of(buffer: bytearray) -> int:
            nonlocal searched
            found = buffer.find(separator, max(searched - len(separator) + 1, 0), limit_bytes)
            searched = len(buffer)
            if found < 0 and searched >= limit_bytes:
                raise CheckFailed(
                    Reason.PROTOCOL, f"the peer sent {counted(limit_bytes, 'byte')} without {separator!r}"
                )
            return found + len(separator) if found >= 0 else 0

        return await self._received.take_message(end_of, "a whole line" if separator == b"\n" else repr(separator))

    async def read_line(self, limit_bytes: int = MAX_LINE_BYTES) -> bytes:
        """Return the next line without its line break, LF or CRLF.

        Raises:
            CheckFailed: As `read_until`.
        """
        return (await self.read_until(b"\n", limit_bytes)).removesuffix(b"\n").removesuffix(b"\r")

    def write(self, data: bytes) -> None:
        """Send data, now or as soon as the peer reads; after the connection is lost, drop it."""
        self._received.transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has read most of what was written.

        Raises:
            CheckFailed: When the connection is lost.
        """
        await self._received.drained()

    async def start_tls(
        self, tls: TlsConfig, server_name: str | None = None, timeout_seconds: float | None = None
    ) -> None:
        """Shake hands on the plain connection; from then on everything is encrypted.

        Bytes that the peer sent before the handshake are refused, because someone else may have inserted them, and they
        would be read as if they had come over TLS (CVE-2011-0411).

        Args:
            tls: TLS options.
            server_name: Name sent and verified when `tls` sets none; the host by default.
            timeout_seconds: Limit of the handshake alone.

        Raises:
            CheckFailed: With reason `starttls` when the peer has sent more before the handshake or has closed,
                otherwise as `TlsTransport.shake_hands`, and with reason `tls` when the time limit has passed.
        """
        if self._is_encrypted:
            raise RuntimeError("the connection is encrypted already")
        attempt = self.facts.attempt
        options = connect_options(
            self._endpoint, self._settings, tls=tls, server_name=server_name, tls_timeout_seconds=timeout_seconds
        )
        context = await self._network.context(context_recipe(tls), attempt)
        await self._network.wait_for_turn(attempt, handshake=True)
        if self._received.buffer:
            detail = f"the peer sent {counted(len(self._received.buffer), 'more byte')} before the TLS handshake"
            raise CheckFailed(Reason.STARTTLS, detail)
        if self._received.is_over:
            raise CheckFailed(Reason.STARTTLS, "the peer closed the connection before the TLS handshake")
        self._is_encrypted = True
        plain = self._received.transport
        transport = TlsTransport(self._received, context, options.server_name, self.facts)
        plain.set_protocol(transport)
        try:
            transport.connection_made(plain)
            await shake_hands(transport, options, self.facts)
        finally:
            attempt.add_phase("tls", self.facts.tls_seconds)
            report_tls(self.facts)
        attempt.note("started TLS", seconds=self.facts.tls_seconds)

    def close(self) -> None:
        """Close the connection without waiting; what the peer has not read by then is lost."""
        close_without_waiting(self._received.transport)

    def abort(self) -> None:
        """Close the connection immediately."""
        self._received.transport.abort()
