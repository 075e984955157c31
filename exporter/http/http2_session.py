"""HTTP/2 connection state that outlives an exchange: streams, windows, header tables, buffered frames.

Source: RFC 9113.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from hpack import Decoder, HeaderTuple

from exporter.errors import CheckFailed
from exporter.http.binary_fields import without_blanks
from exporter.model import Reason
from exporter.net.field_lines import Oddities

if TYPE_CHECKING:
    import asyncio

DATA, HEADERS, PUSH_PROMISE, GOAWAY, CONTINUATION = 0, 1, 5, 7, 9
"""Frame types, section 6."""

FRAME_HEAD_BYTES, _FRAME_LIMIT_BYTES = 9, 1 << 14  # sections 4.1 and 4.2
_HEAD_LIMIT_BYTES = 1 << 16
_WINDOW_BYTES = 1 << 20
_MAX_IDLE_FRAMES = 2048
_UNASKED = frozenset((DATA, HEADERS, PUSH_PROMISE, GOAWAY, CONTINUATION))


class _Connection(H2Connection):
    MAX_CLOSED_STREAMS = 8  # h2 remembers 65536 by default, which is megabytes for a connection kept for days


class _TrimmingDecoder(Decoder):
    """Strips whitespace around values in decoded heads, because h2 rejects them as RFC 9113 section 8.2.1 requires."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(max_head_bytes)
        self.oddities = Oddities()

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:  # noqa: FBT001, FBT002 - as in hpack
        return without_blanks(super().decode(data, raw=raw), self.oddities, HeaderTuple)


class Http2Session:
    """One HTTP/2 connection; lives as long as its transport and carries one request at a time.

    Attributes:
        connection: The h2 connection.
        buffer: The beginning of an incomplete frame, or frames that have not been processed yet.
        goes_away: Whether the server has said that it takes no more requests (section 6.8).
    """

    def __init__(self) -> None:
        self.connection = _Connection(H2Configuration(client_side=True, header_encoding=False))
        self._decoder = self.connection.decoder = _TrimmingDecoder(_HEAD_LIMIT_BYTES)
        self.buffer = bytearray()
        self.goes_away = False
        self._idle_frames = 0
        self.connection.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: _HEAD_LIMIT_BYTES,
            },
        )
        self.connection.initiate_connection()
        self.connection.increment_flow_control_window(_WINDOW_BYTES)

    def begin_request(self) -> int:
        """Return the stream for the next request."""
        self._idle_frames = 0
        self._decoder.oddities = Oddities()
        return self.connection.get_next_available_stream_id()

    @property
    def oddities(self) -> tuple[str, ...]:
        """Oddities in the heads since the request began."""
        return self._decoder.oddities.found()

    def next_frame(self) -> bytes | None:
        """Remove and return the next frame in the buffer; None when it is incomplete.

        Raises:
            CheckFailed: With reason `protocol` when it is larger than allowed.
        """
        buffer = self.buffer
        if len(buffer) < FRAME_HEAD_BYTES:
            return None
        payload_bytes = int.from_bytes(buffer[:3], "big")
        if payload_bytes > _FRAME_LIMIT_BYTES:
            raise CheckFailed(
                Reason.PROTOCOL, f"a frame of {payload_bytes} bytes came; the limit is {_FRAME_LIMIT_BYTES}"
            )
        end = FRAME_HEAD_BYTES + payload_bytes
        if len(buffer) < end:
            return None
        frame = bytes(buffer[:end])
        del buffer[:end]
        return frame

    def stays_usable(self, data: bytes, transport: asyncio.Transport) -> bool:
        """Process and answer what arrives between requests (sections 6.5.3 and 6.7).

        Returns:
            Whether another request can be made; not when the server goes away, sends an unrequested answer, breaks the
            rules, or keeps sending frames.
        """
        self.buffer += data
        try:
            while frame := self.next_frame():
                self._idle_frames += 1
                if frame[3] in _UNASKED or self._idle_frames > _MAX_IDLE_FRAMES:
                    return False
                self.connection.receive_data(frame)
        except (CheckFailed, H2Error):
            return False
        if answer := self.connection.data_to_send():
            transport.write(answer)
        return True
