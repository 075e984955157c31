"""Messages of an open WebSocket, within limits; needs the extra `websocket`. Source: RFC 6455 sections 5 to 7.

wsproto's FrameProtocol codes the frames; its WSConnection cannot tell a broken frame from a closing handshake. Pings
are answered here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

from exporter.errors import CheckFailed
from exporter.http.contained import without_octets
from exporter.model import Reason
from exporter.net.field_lines import printable
from exporter.quantities import counted

if TYPE_CHECKING:
    from wsproto.frame_protocol import Frame

_FREE_FRAMES, _BYTES_PER_FRAME = 2048, 64  # a frame costs time however little it contains
_SHOWN_CHARACTERS = 120


class Closing(NamedTuple):
    """How the server closed: its code (1005 when it sent none) and its explanation."""

    code: int
    reason: str

    def __str__(self) -> str:
        return f"{self.code} ({self.reason})" if self.reason else str(self.code)


class MessageReader:
    """The state of one open connection; lives as long as it.

    Attributes:
        messages: Complete messages not yet taken by the caller, text or bytes.
        closing: How the server closed; None before it has.
        outgoing: Bytes to send to the server; the caller empties it.
        pongs: Payloads of the pongs received so far, the last few of them.
    """

    def __init__(self, message_limit_bytes: int) -> None:
        self.messages: deque[str | bytes] = deque()
        self.closing: Closing | None = None
        self.outgoing = bytearray()
        self.pongs: deque[bytes] = deque(maxlen=8)
        self._protocol = FrameProtocol(client=True, extensions=[])
        self._limit_bytes = message_limit_bytes
        self._parts: list[str | bytes] = []
        self._part_bytes = 0
        self._frames = 0
        self._received_bytes = 0

    def receive(self, data: bytes) -> None:
        """Read received data.

        Raises:
            CheckFailed: `protocol` when it breaks RFC 6455 or consists of too many small frames, `too_large` when a
                message exceeds the limit.
        """
        if self.closing is not None:
            return
        self._received_bytes += len(data)
        self._protocol.receive_bytes(data)
        try:
            for frame in self._protocol.received_frames():
                self._take(frame)
                if self.closing is not None:
                    break
        except ParseFailed as error:
            why = without_octets(error)
            raise CheckFailed(Reason.PROTOCOL, f"the server breaks the WebSocket protocol: {why}") from error

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self.outgoing += self._protocol.send_data(message)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping."""
        self.outgoing += self._protocol.ping(payload)

    def close(self) -> None:
        """Begin, or answer, the closing handshake."""
        self.outgoing += self._protocol.close(CloseReason.NORMAL_CLOSURE)

    def _take(self, frame: Frame) -> None:
        if frame.frame_finished:
            self._frames += 1
            if self._frames > _FREE_FRAMES + self._received_bytes // _BYTES_PER_FRAME:
                raise CheckFailed(Reason.PROTOCOL, f"the server sent {self._frames} frames with hardly any content")
        if frame.opcode is Opcode.PING:
            self.outgoing += self._protocol.pong(_octets(frame.payload))
        elif frame.opcode is Opcode.PONG:
            self.pongs.append(_octets(frame.payload))
        elif frame.opcode is Opcode.CLOSE:
            code, reason = cast("tuple[int, str]", frame.payload)
            self.closing = Closing(int(code), printable(str(reason))[:_SHOWN_CHARACTERS])
        else:
            self._take_part(frame)

    def _take_part(self, frame: Frame) -> None:
        part = frame.payload
        self._part_bytes += len(part.encode() if isinstance(part, str) else part)
        if self._part_bytes > self._limit_bytes:
            raise CheckFailed(Reason.TOO_LARGE, f"a message is larger than {counted(self._limit_bytes, 'byte')}")
        self._parts.append(part)  # type: ignore[arg-type] # text or bytes for this opcode
        if frame.message_finished:
            text = isinstance(part, str)
            self.messages.append(
                "".join(self._parts) if text else b"".join(self._parts)  # type: ignore[arg-type] # all of one kind
            )
            self._parts, self._part_bytes = [], 0


def _octets(payload: object) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else b""
