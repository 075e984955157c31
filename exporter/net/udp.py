"""UDP with one peer: a socket for one exchange, and a measured exchange of datagrams."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING, Self

from exporter.addresses import endpoint
from exporter.net.errors import connection_failure

if TYPE_CHECKING:
    from types import TracebackType

    from exporter.addresses import Address
    from exporter.net.readers import Readers

_MAX_DATAGRAM_BYTES = 65535


def open_datagram_socket(server: Address, port: int, source_ip: str | None) -> socket.socket:
    """Return a socket for the datagrams of one exchange: connected, so that the kernel drops those of other peers.

    The kernel also reports refusals (ICMP) and chooses a port for this exchange alone, so that it is hard to guess.

    Args:
        server: The peer.
        port: Its port.
        source_ip: Local address to send from; None for the system's choice.

    Raises:
        CheckFailed: When this host cannot send from that address or to the peer.
    """
    family = socket.AF_INET if server.version == 4 else socket.AF_INET6
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if source_ip is not None:
                opened.bind((source_ip, 0))
            opened.connect((server.text, port))
        except BaseException:
            opened.close()
            raise
    except OSError as error:
        sender = "" if source_ip is None else f" from {source_ip}"
        raise connection_failure(error, f"opening a socket to {endpoint(server.text, port)}{sender}") from error
    return opened


class Datagram:
    """An exchange of datagrams with one peer; lives until it is closed, at the latest at the end of its block.

    Attributes:
        place: Address and port of the peer, as text.
    """

    def __init__(self, connected: socket.socket, place: str, readers: Readers) -> None:
        """Begin an exchange.

        Args:
            connected: A socket from `open_datagram_socket`, which is closed with the exchange.
            place: Address and port of the peer, as text.
            readers: Wait for what the peer sends.
        """
        self.place = place
        self._socket = connected
        self._readers = readers

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send one datagram.

        Raises:
            CheckFailed: When it cannot be sent, or the peer refused an earlier one (ICMP port unreachable) with reason
                `connect_refused`.
        """
        try:
            self._socket.send(data)
        except OSError as error:
            raise connection_failure(error, f"sending to {self.place}") from error

    async def receive(self) -> bytes:
        """Wait for one datagram of the peer and return it.

        Raises:
            CheckFailed: With reason `connect_refused` when the peer refused one (ICMP port unreachable).
        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                readable: asyncio.Future[None] = loop.create_future()
                self._readers.add_reader(self._socket, partial(_settle, readable))
                try:
                    await readable
                    return self._socket.recv(_MAX_DATAGRAM_BYTES)
                except BlockingIOError:
                    continue  # the kernel dropped a datagram whose checksum is wrong (select(2), section BUGS)
                finally:
                    self._readers.remove_reader(self._socket)
        except OSError as error:
            raise connection_failure(error, f"waiting for an answer from {self.place}") from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _settle(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
