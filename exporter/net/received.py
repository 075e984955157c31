"""Received bytes that wait to be read: an asyncio protocol with a bounded buffer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER_BYTES = 65536
"""Bytes kept unread; beyond them, reading from the socket pauses."""


class ReceivedBytes(asyncio.Protocol):
    """The reading end of one connection, and its flow control; lives as long as the connection.

    One task reads, and one writes, at a time.

    Attributes:
        buffer: Bytes received and not yet taken.
        is_over: Whether nothing more will be received.
        transport: The transport above which it lies: the socket, or TLS on top of it.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.is_over = False
        self.transport: asyncio.Transport
        self._error: Exception | None = None
        self._is_lost = False
        self._is_paused = False
        self._may_write = True
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Use this transport from now on."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep received data, and stop reading when there is enough."""
        self.buffer += data
        if len(self.buffer) >= BUFFER_BYTES and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        """Record that the peer sends no more; the other direction stays open."""
        self.is_over = True
        _wake(self._reader)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is lost."""
        if not self.is_over:
            self._error = exc
        self.is_over = self._is_lost = True
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        """Make writers wait, because the peer reads more slowly than they write."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Let writers continue."""
        self._may_write = True
        _wake(self._writer)

    # What readers and writers call

    async def take(self, size: int) -> bytes:
        """Remove and return up to `size` bytes, as soon as there are any; empty at the end.

        Raises:
            CheckFailed: When the connection broke.
        """
        while not self.buffer and await self._more("reading"):
            pass
        return self._remove(min(size, len(self.buffer)))

    async def take_message(self, end_of: Callable[[bytearray], int], what: str) -> bytes:
        """Remove and return one message of the peer.

        Args:
            end_of: Returns where the message ends in the bytes received so far; 0 when more are needed. May raise
                CheckFailed.
            what: The message, completing "before", such as "a whole line".

        Raises:
            CheckFailed: With reason `protocol` when the peer closed the connection within the message,
                `connection_reset` when it did so before it or the connection broke.
        """
        while not (end := end_of(self.buffer)):
            if not await self._more(f"waiting for {what}"):
                if not self.buffer:
                    raise CheckFailed(Reason.CONNECTION_RESET, f"the peer closed the connection before {what}")
                detail = f"the peer closed the connection after {counted(len(self.buffer), 'byte')}, before {what}"
                raise CheckFailed(Reason.PROTOCOL, detail)
        return self._remove(end)

    async def drained(self) -> None:
        """Wait until the peer has read enough that more can be written.

        Raises:
            CheckFailed: When the connection is lost.
        """
        if self.transport.is_closing():
            await asyncio.sleep(0)  # the event loop calls connection_lost in its next pass
        while not self._may_write and not self._is_lost:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer
        if self._is_lost:
            raise self._failure("writing")

    def _failure(self, doing: str) -> CheckFailed:
        if self._error is not None:
            return connection_failure(self._error, doing)
        return CheckFailed(Reason.CONNECTION_RESET, f"the connection had ended while {doing}")

    def _remove(self, size: int) -> bytes:
        removed = bytes(self.buffer[:size])
        del self.buffer[:size]
        if self._is_paused and len(self.buffer) < BUFFER_BYTES:
            self._resume()
        return removed

    def _resume(self) -> None:
        self._is_paused = False
        if not self._is_lost:
            self.transport.resume_reading()

    async def _more(self, doing: str) -> bool:
        """Wait for more data; return whether there is any before the end."""
        if self.is_over:
            if self._error is not None:
                raise self._failure(doing) from self._error
            return False
        if self._reader is not None:
            raise RuntimeError("another task already reads from this stream")
        if self._is_paused:
            self._resume()  # the message is larger than what is kept unread
        self._reader = asyncio.get_running_loop().create_future()
        before = len(self.buffer)
        try:
            await self._reader
        finally:
            self._reader = None
        return len(self.buffer) > before or await self._more(doing)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
