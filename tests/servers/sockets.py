"""The sockets of this process by the ports at their ends: those of one server, whatever others are open."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from typing import TYPE_CHECKING, NamedTuple

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ends(NamedTuple):
    """One connected socket: its port, that of its peer, and what has arrived and was not read yet."""

    port: int
    peer_port: int
    unread_bytes: int


def sockets_to(port: int) -> int:
    """The number of sockets, TCP and UDP, that this process holds and that are connected to a port."""
    return sum(ends.peer_port == port for ends in _connected_sockets())


def wait_until_read(connection: socket.socket) -> None:
    """Wait until the peer has read all that was sent to it, if it is in this process as well."""
    here, peer = connection.getsockname()[1], connection.getpeername()[1]
    wait_until(lambda: not any(ends.unread_bytes for ends in _connected_sockets() if ends[:2] == (peer, here)))


def _connected_sockets() -> Iterator[Ends]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the numbers alone
        try:
            borrowed = socket.socket(fileno=int(name))
        except OSError:
            continue  # no socket, or gone meanwhile
        try:
            if borrowed.family in (socket.AF_INET, socket.AF_INET6):
                (unread_bytes,) = struct.unpack("i", fcntl.ioctl(borrowed, termios.FIONREAD, bytes(4)))
                yield Ends(borrowed.getsockname()[1], borrowed.getpeername()[1], unread_bytes)
        except OSError:
            continue  # connected to nobody
        finally:
            borrowed.detach()
