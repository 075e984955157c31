"""HTTP/2 frames of one call: written, and read from received bytes within limits. Source: RFC 9113 sections 4 and 6."""

from __future__ import annotations

from typing import NamedTuple

from exporter.errors import CheckFailed
from exporter.model import Reason

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
"""Frame types, section 6."""

ACK, END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
"""Flags, section 6."""

STREAM = 1
"""The first stream a client opens, and the only one of a call."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first, section 3.4."""

_HEAD_BYTES, _FRAME_LIMIT_BYTES = 9, 1 << 14  # sections 4.1 and 4.2
_MAX_FRAMES, _MAX_BYTES = 1000, 1 << 18
_SHOWN_BYTES = 40


class Frame(NamedTuple):
    """One frame; `payload` is without padding and priority once `unpadded` has removed them."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def written(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame as it is sent."""
    return b"%b%b%b%b%b" % (
        len(payload).to_bytes(3, "big"),
        kind.to_bytes(1, "big"),
        flags.to_bytes(1, "big"),
        stream.to_bytes(4, "big"),
        payload,
    )


def unpadded(frame: Frame) -> bytes:
    """Return the payload of a DATA or HEADERS frame without padding and priority (sections 6.1 and 6.2).

    Raises:
        CheckFailed: With reason `protocol` when they do not fit into the frame.
    """
    start, end = 0, len(frame.payload)
    if frame.flags & PADDED:
        if not frame.payload:
            raise broken("a padded frame is empty")
        start, end = 1, end - frame.payload[0]
    if frame.kind == HEADERS and frame.flags & PRIORITY_FLAG:
        start += 5
    if start > end:
        raise broken("a frame has more padding than payload")
    return frame.payload[start:end]


def broken(what: str) -> CheckFailed:
    """Return the failure for an answer that breaks HTTP/2."""
    return CheckFailed(Reason.PROTOCOL, f"the response breaks HTTP/2: {what}")


class FrameReader:
    """Splits what one server sends into frames; lives as long as its connection.

    The first frame must be SETTINGS (section 3.4), so another protocol is recognised by its first bytes. The number of
    frames and bytes is limited, because the answer to one call is small.
    """

    def __init__(self) -> None:
        self._unread = bytearray()
        self._frames = 0
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        """Take received bytes.

        Raises:
            CheckFailed: With reason `protocol` when they do not begin with HTTP/2, or go on longer than an answer does.
        """
        self._unread += data
        self._bytes += len(data)
        if self._bytes > _MAX_BYTES:
            raise CheckFailed(Reason.PROTOCOL, f"the server sent more than {_MAX_BYTES} bytes for one call")
        if not self._frames:
            self._check_start()

    def next(self) -> Frame | None:
        """Remove and return the next frame; None when it is incomplete.

        Raises:
            CheckFailed: With reason `protocol` when it is larger than allowed, or there are too many.
        """
        unread = self._unread
        if len(unread) < _HEAD_BYTES:
            return None
        payload_bytes = int.from_bytes(unread[:3], "big")
        if payload_bytes > _FRAME_LIMIT_BYTES:
            raise broken(f"a frame has {payload_bytes} bytes; at most {_FRAME_LIMIT_BYTES} are allowed")
        end = _HEAD_BYTES + payload_bytes
        if len(unread) < end:
            return None
        self._frames += 1
        if self._frames > _MAX_FRAMES:
            raise CheckFailed(Reason.PROTOCOL, f"the server sent more than {_MAX_FRAMES} frames for one call")
        stream = int.from_bytes(unread[5:9], "big") & 0x7FFFFFFF
        frame = Frame(unread[3], unread[4], stream, bytes(unread[_HEAD_BYTES:end]))
        del unread[:end]
        return frame

    def _check_start(self) -> None:
        start = bytes(self._unread[:_HEAD_BYTES])
        if start.startswith(b"HTTP/"):
            raise CheckFailed(Reason.PROTOCOL, "the server speaks HTTP/1, and gRPC needs HTTP/2")
        # Type SETTINGS, not an acknowledgement, on stream 0, and not longer than a frame may be.
        if start[:1] > b"\0" or (len(start) > 3 and start[3] != SETTINGS) or (len(start) > 4 and start[4] & ACK):
            raise CheckFailed(Reason.PROTOCOL, f"the server does not speak HTTP/2: it begins with {self._shown()}")

    def _shown(self) -> str:
        return repr(bytes(self._unread[:_SHOWN_BYTES]))[1:]
