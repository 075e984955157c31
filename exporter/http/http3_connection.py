"""aioquic's HTTP/3 connection, reduced to what one request needs. Sources: RFC 9114 and RFC 9204.

It allows no pushes and has no dynamic table, which is useless for one answer, so no head ever waits for another stream.
It limits heads before decoding them, and handles GOAWAY, which aioquic ignores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.buffer import Buffer, BufferReadError  # type: ignore[attr-defined]  # exported implicitly
from aioquic.h3.connection import FrameType, H3Connection, Setting
from aioquic.quic.events import StreamDataReceived
from pylsqpack import Decoder

from exporter.errors import CheckFailed
from exporter.http.binary_fields import without_blanks
from exporter.model import Reason
from exporter.net.field_lines import Oddities

if TYPE_CHECKING:
    from aioquic.h3.events import H3Event, Headers
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent

_HEAD_LIMIT_BYTES = 1 << 16
_FIELD_OVERHEAD_BYTES = 32  # RFC 9114 section 4.2.2
_LONGEST_INTEGER_BYTES = 8  # RFC 9000 section 16


class Http3Connection(H3Connection):
    """One connection as a client; lives as long as its QUIC connection.

    Attributes:
        refused_from: The first stream whose request the server refuses, from its GOAWAY; None without one.
        oddities: Oddities in the heads.
    """

    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic)
        self.refused_from: int | None = None
        self.oddities = Oddities()
        self._beginnings: dict[int, bytes] = {}
        self._unread: bytes | None = None
        self._left_to_skip_bytes = 0

    def handle_event(self, event: QuicEvent) -> list[H3Event]:
        """Handle a QUIC event.

        Raises:
            CheckFailed: With reason `protocol` when a head is too large or a GOAWAY is malformed. Other faults end the
                QUIC connection.
        """
        events = super().handle_event(event)
        if isinstance(event, StreamDataReceived):
            self._watch_control_stream(event)
        return events

    # What aioquic leaves to be decided

    def _init_connection(self) -> None:
        self._max_push_id = None
        self._decoder = Decoder(0, 0)
        super()._init_connection()

    def _get_local_settings(self) -> dict[int, int]:
        return {
            Setting.QPACK_MAX_TABLE_CAPACITY: 0,
            Setting.QPACK_BLOCKED_STREAMS: 0,
            Setting.MAX_FIELD_SECTION_SIZE: _HEAD_LIMIT_BYTES,
        }

    def _decode_headers(self, stream_id: int, frame_data: bytes | None) -> Headers:
        fields = without_blanks(super()._decode_headers(stream_id, frame_data), self.oddities, _field)
        size_bytes = sum([len(name) + len(value) + _FIELD_OVERHEAD_BYTES for name, value in fields])
        if size_bytes > _HEAD_LIMIT_BYTES:
            raise CheckFailed(Reason.PROTOCOL, f"the response's head is larger than {_HEAD_LIMIT_BYTES} bytes")
        return fields

    # GOAWAY

    def _watch_control_stream(self, event: StreamDataReceived) -> None:
        if self._peer_control_stream_id is None:
            before = self._beginnings.get(event.stream_id, b"")
            self._beginnings[event.stream_id] = (before + event.data)[:_LONGEST_INTEGER_BYTES]
        elif self._peer_control_stream_id == event.stream_id:
            if self._unread is None:
                whole = Buffer(data=self._beginnings.get(event.stream_id, b"") + event.data)
                whole.pull_uint_var()  # the stream type, which aioquic reads too
                self._unread = whole.data_slice(whole.tell(), whole.capacity)
            else:
                self._unread += event.data
            while self._skip_frame(self._unread):
                pass

    def _skip_frame(self, unread: bytes) -> bool:
        """Skip to the next frame of the control stream, or the end of the data; return False when nothing is left."""
        skipped_bytes = min(self._left_to_skip_bytes, len(unread))
        self._left_to_skip_bytes -= skipped_bytes
        frame = Buffer(data=unread[skipped_bytes:])
        self._unread = unread[skipped_bytes:]
        try:
            kind, size_bytes = frame.pull_uint_var(), frame.pull_uint_var()
        except BufferReadError:
            return False
        payload = frame.data_slice(frame.tell(), min(frame.tell() + size_bytes, frame.capacity))
        if kind == FrameType.GOAWAY:
            if len(payload) < min(size_bytes, _LONGEST_INTEGER_BYTES):
                return False
            self.refused_from = _only_integer(payload, size_bytes)
        self._left_to_skip_bytes = size_bytes
        self._unread = frame.data_slice(frame.tell(), frame.capacity)
        return True


def _field(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name, value


def _only_integer(payload: bytes, size_bytes: int) -> int:
    content = Buffer(data=payload)
    try:
        value = content.pull_uint_var()
    except BufferReadError:
        value = -1
    if value < 0 or content.tell() != size_bytes:
        raise CheckFailed(Reason.PROTOCOL, "the response breaks HTTP/3: a GOAWAY came that names no stream")
    return value
