"""A UDP socket for one exchange with one peer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from exporter.net.addresses import endpoint
from exporter.net.errors import connection_failure

if TYPE_CHECKING:
    from exporter.net.addresses import Address


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
