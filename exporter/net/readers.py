"""Waits for many short-lived sockets through one descriptor: a third of what an event loop's own readers cost.

An event loop creates a handle for each socket that it watches, and changes its epoll(7) set six times for one answer.
Here the loop watches one other set, which a socket enters and leaves with one system call each.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


FLOOD = 64
"""Datagrams that answer nothing, after which reading pauses; a peer that is merely slow sends a few."""

_PAUSE_SECONDS = 0.02


class Readers(Protocol):
    """Calls back when sockets are readable, or have an error to report; event loops do, and `SharedReaders`."""

    def add_reader(self, fd: socket.socket, callback: Callable[[], object], /) -> object:
        """Call back whenever a socket is readable, until `remove_reader`."""

    def remove_reader(self, fd: socket.socket, /) -> object:
        """Stop watching a socket; do nothing when it is not watched."""


def pause_reader(readers: Readers, watched: socket.socket, callback: Callable[[], object]) -> asyncio.TimerHandle:
    """Stop watching a socket for a moment after a flood, so that other checks have their turn.

    What the socket cannot buffer meanwhile is lost. Cancel the returned timer before the socket is closed.
    """
    readers.remove_reader(watched)
    return asyncio.get_running_loop().call_later(_PAUSE_SECONDS, readers.add_reader, watched, callback)


class SharedReaders:
    """The readers of one batch; lives until it is closed. On another event loop than before, it starts anew."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._callbacks: dict[int, Callable[[], object]] = {}

    def add_reader(self, watched: socket.socket, callback: Callable[[], object], /) -> None:
        """Call back whenever a socket is readable, until `remove_reader`; it must be removed before it is closed."""
        loop = asyncio.get_running_loop()
        if self._epoll is None or loop is not self._loop:
            self.close()
            self._epoll, self._loop = select.epoll(), loop
            loop.add_reader(self._epoll.fileno(), self._on_readable)
        descriptor = watched.fileno()
        if descriptor not in self._callbacks:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._callbacks[descriptor] = callback

    def remove_reader(self, watched: socket.socket, /) -> None:
        """Stop watching a socket; do nothing when it is not watched."""
        descriptor = watched.fileno()
        if self._callbacks.pop(descriptor, None) is not None and self._epoll is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Stop watching."""
        self._callbacks.clear()
        if self._epoll is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._epoll = None

    def _on_readable(self) -> None:
        assert self._epoll is not None  # noqa: S101 - it is watched only while it is open
        for descriptor, _ in self._epoll.poll(0):
            callback = self._callbacks.get(descriptor)
            if callback is not None:  # else an earlier one of these callbacks removed it
                callback()
