"""Finds the sockets of this process by the ports at both ends: those of one server, whatever others are open."""

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
    """One connected socket: its port, its peer's port, and the bytes received but not read yet."""

    port: int
    peer_port: int
    unread_bytes: int


def sockets_to(port: int) -> int:
    """The number of this process's sockets, TCP and UDP, that are connected to a port."""
    return sum(ends.peer_port == port for ends in _connected_sockets())


def wait_until_read(connection: socket.socket) -> None:
    """Wait until the peer, if it is in this process too, has read everything sent to it."""
    here, peer = connection.getsockname()[1], connection.getpeername()[1]
    wait_until(lambda: not any(ends.unread_bytes for ends in _connected_sockets() if ends[:2] == (peer, here)))


def _connected_sockets() -> Iterator[Ends]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the numbers alone
        try:
            borrowed = socket.socket(fileno=int(name))
        except OSError:
            continue  # not a socket, or already closed
        try:
            if borrowed.family in (socket.AF_INET, socket.AF_INET6):
                (unread_bytes,) = struct.unpack("i", fcntl.ioctl(borrowed, termios.FIONREAD, bytes(4)))
                yield Ends(borrowed.getsockname()[1], borrowed.getpeername()[1], unread_bytes)
        except OSError:
            continue  # not connected
        finally:
            borrowed.detach()
