"""The other end of a WebSocket, as dialogues and the closing handshake use it; needs the extra `websocket`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.quantities import counted
from exporter.websocket.messages import MessageReader

if TYPE_CHECKING:
    from exporter.net.stream import Stream
    from exporter.websocket.messages import Closing

_READ_BYTES, _MOST_KEPT_BYTES = 1 << 16, 1 << 20


class WebSocketPeer:
    """The other end of an open connection, each message one text of a dialogue; lives as long as the connection."""

    def __init__(self, stream: Stream, received: bytes, message_limit_bytes: int) -> None:
        """Begin to use a connection.

        Args:
            stream: The connection, which nobody else reads.
            received: What the server has sent after its handshake.
            message_limit_bytes: The largest message that is read.

        Raises:
            CheckFailed: As `MessageReader.receive` does.
        """
        self._stream = stream
        self._reader = MessageReader(message_limit_bytes)
        self._reader.receive(received)

    @property
    def closing(self) -> Closing | None:
        """How the server closed; None before it has."""
        return self._reader.closing

    async def next_text(self) -> bytes | None:
        """Return the next message; None when the server has closed."""
        messages = self._reader.messages
        while not messages:
            if self._reader.closing is not None:
                return None
            await self._receive()
        message = messages.popleft()
        return message.encode() if isinstance(message, str) else message

    async def next_bytes(self, expected: bytes) -> bytes:
        """Return the next message, whatever its length; empty when the server has closed."""
        return await self.next_text() or b""

    async def send(self, said: str | bytes) -> None:
        """Send a message: text as text, bytes as binary."""
        self._reader.send(said)
        self._flush()
        await self._stream.drain()

    async def ping(self, payload: bytes) -> None:
        """Send a ping and wait for its pong; messages that arrive before are kept.

        Raises:
            CheckFailed: As `next_text`, and `protocol` when the server closes instead, `too_large` when it sends
                too much before that.
        """
        self._reader.ping(payload)
        while payload not in self._reader.pongs:
            if self._reader.closing is not None:
                what = f"the server closed with {self._reader.closing} instead of answering a ping"
                raise CheckFailed(Reason.PROTOCOL, what)
            await self._receive()
            kept_bytes = sum(map(len, self._reader.messages))
            if kept_bytes > _MOST_KEPT_BYTES:
                raise CheckFailed(
                    Reason.TOO_LARGE, f"the server said {counted(kept_bytes, 'byte')} instead of answering a ping"
                )

    async def close(self, *, closes_first: bool = True, awaits_close: bool = False) -> None:
        """Close the connection, and ignore anything that the server still sends.

        Args:
            closes_first: Whether to begin the closing handshake.
            awaits_close: Whether to wait for the server's part.
        """
        if closes_first or self._reader.closing is not None:
            self._reader.close()
            self._flush()
        while awaits_close and self._reader.closing is None:
            self._reader.messages.clear()
            await self._receive()

    async def _receive(self) -> None:
        """Read once.

        Raises:
            CheckFailed: As `MessageReader.receive` and `Stream.read` do; `protocol` when the server ends the connection
                without a closing handshake.
        """
        self._flush()
        data = await self._stream.read(_READ_BYTES)
        if not data:
            raise CheckFailed(Reason.PROTOCOL, "the server ended the connection without a closing handshake")
        self._reader.receive(data)

    def _flush(self) -> None:
        if self._reader.outgoing:
            self._stream.write(bytes(self._reader.outgoing))
            self._reader.outgoing.clear()
