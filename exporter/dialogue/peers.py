"""The peers of dialogues, over a stream or over datagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.dialogue.conversation import MAX_LINE_BYTES, octets_of
from exporter.errors import CheckFailed

if TYPE_CHECKING:
    from exporter.net.stream import Stream
    from exporter.net.udp import Datagram

_LINE_BREAK_BYTES = 2


class StreamPeer:
    """The other end of a stream; lives as long as one dialogue.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def next_text(self) -> bytes | None:
        """Return the next line; an unfinished last line counts once the peer has closed."""
        try:
            return await self._stream.read_line(MAX_LINE_BYTES + _LINE_BREAK_BYTES)
        except CheckFailed:
            if not self._stream.is_over:
                raise
            rest = await self._stream.read(MAX_LINE_BYTES)
            return rest.removesuffix(b"\r") or None

    async def next_bytes(self, expected: bytes) -> bytes:
        """Return the next bytes as soon as they are complete or differ from the expected ones."""
        received = b""
        while len(received) < len(expected) and expected.startswith(received):
            piece = await self._stream.read(len(expected) - len(received))
            if not piece:
                break
            received += piece
        return received

    async def send(self, said: str | bytes) -> None:
        """Send text or bytes."""
        self._stream.write(octets_of(said))
        await self._stream.drain()


class DatagramPeer:
    """The other end of an exchange of datagrams; each counts as one line, without a line break at its end."""

    def __init__(self, datagram: Datagram) -> None:
        self._datagram = datagram

    async def next_text(self) -> bytes:
        """Return the next datagram."""
        return (await self._datagram.receive()).removesuffix(b"\n").removesuffix(b"\r")

    async def next_bytes(self, expected: bytes) -> bytes:
        """Return the beginning of the next datagram."""
        return (await self._datagram.receive())[: len(expected)]

    async def send(self, said: str | bytes) -> None:
        """Send a datagram."""
        self._datagram.send(octets_of(said))
