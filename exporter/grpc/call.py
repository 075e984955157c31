"""Receives the answer to one unary call on a new HTTP/2 connection: bytes in, bytes out. Does no I/O.

Sources: gRPC over HTTP2; RFC 9113. The frames are handled here and not by h2, which takes 0.5 ms to set up the states
and tables of a connection; a connection with one stream needs few of them. hpack decodes the header fields.
"""

from __future__ import annotations

from exporter.errors import CheckFailed
from exporter.grpc import frames
from exporter.grpc.frames import STREAM, Frame, FrameReader, broken, unpadded, written
from exporter.grpc.header_blocks import decoded
from exporter.grpc.messages import MessageReader
from exporter.grpc.status import CODES, code_of_http, code_of_reset, decoded_message, error_name
from exporter.model import Reason
from exporter.net.field_lines import shown

_BLOCK_LIMIT_BYTES = 1 << 15
_MAX_INFORMATIONAL = 10


class UnaryCall:
    """The receiving side of one call; lives as long as its connection.

    Attributes:
        ended: Whether the answer is complete.
        code: The gRPC status, also where the specification derives it from an HTTP status or a reset; None before.
        text: The server's explanation of the status; may be empty.
        outgoing: Bytes to send to the server; the caller empties it.
    """

    def __init__(self) -> None:
        self.ended = False
        self.code: int | None = None
        self.text = ""
        self.outgoing = bytearray()
        self._frames = FrameReader()
        self._messages = MessageReader()
        self._blocks: tuple[bytes, ...] = ()
        self._block = bytearray()
        self._block_flags: int | None = None
        self._headed = False
        self._informational = 0

    def receive(self, data: bytes) -> None:
        """Process received bytes.

        Raises:
            CheckFailed: `protocol` when they break the rules of HTTP/2 or gRPC or the server ends the connection,
                `connection_reset` when it resets the stream, `status` when it answers with an HTTP status other than
                200 and without gRPC, `too_large` when the message is too long.
        """
        self._frames.feed(data)
        while not self.ended and (frame := self._frames.next()):
            self._take(frame)

    def message(self) -> bytes:
        """Return the message of a call that has ended with OK.

        Raises:
            CheckFailed: With reason `protocol` when it is missing or incomplete.
        """
        return self._messages.message()

    def _take(self, frame: Frame) -> None:
        if (frame.kind == frames.CONTINUATION) != (self._block_flags is not None):
            raise broken("a header block is interrupted, or continued without having begun")
        if frame.kind in (frames.HEADERS, frames.CONTINUATION, frames.DATA, frames.RST_STREAM):
            if frame.stream != STREAM:
                raise broken(f"a frame is for stream {frame.stream}, which was not opened")
            self._take_of_stream(frame)
        elif frame.kind == frames.SETTINGS:
            self._take_settings(frame)
        elif frame.kind == frames.PING:
            if len(frame.payload) != 8 or frame.stream:
                raise broken("a PING is malformed")
            if not frame.flags & frames.ACK:
                self.outgoing += written(frames.PING, frames.ACK, 0, frame.payload)
        elif frame.kind == frames.GOAWAY:
            _take_goaway(frame)
        elif frame.kind == frames.PUSH_PROMISE:
            raise broken("the server pushed a response, which was not allowed")
        # WINDOW_UPDATE does not matter to a request of this size; PRIORITY and unknown types are ignored.

    def _take_of_stream(self, frame: Frame) -> None:
        if frame.kind == frames.RST_STREAM:
            error_code = int.from_bytes(frame.payload, "big")
            if len(frame.payload) != 4:
                raise broken("a RST_STREAM is malformed")
            self.code = code_of_reset(error_code)
            raise CheckFailed(Reason.CONNECTION_RESET, f"the server reset the stream ({error_name(error_code)})")
        if frame.kind == frames.DATA:
            if not self._headed:
                raise broken("data came before the head")
            self._messages.feed(unpadded(frame))
            if frame.flags & frames.END_STREAM:
                self.code = CODES["INTERNAL"]
                raise CheckFailed(Reason.PROTOCOL, "the server ended the call without trailers, so without a status")
            return
        if frame.kind == frames.HEADERS:
            self._block_flags = frame.flags
            self._block += unpadded(frame)
        else:
            self._block += frame.payload
        if len(self._block) > _BLOCK_LIMIT_BYTES:
            raise CheckFailed(Reason.PROTOCOL, f"a header block has more than {_BLOCK_LIMIT_BYTES} bytes")
        if frame.flags & frames.END_HEADERS:
            flags, self._block_flags = self._block_flags or 0, None
            self._blocks += (bytes(self._block),)
            self._block = bytearray()
            # Of several fields with the same name the first counts.
            self._take_fields(dict(reversed(decoded(self._blocks))), ends=bool(flags & frames.END_STREAM))

    def _take_fields(self, fields: dict[bytes, bytes], *, ends: bool) -> None:
        if self._headed:
            if not ends:
                raise broken("a second head came")
            self._take_status(fields)
            return
        status = fields.get(b":status", b"")
        if len(status) != 3 or not status.isdigit() or status < b"100":
            raise CheckFailed(Reason.PROTOCOL, f"the response has the status '{shown(status)}', which does not exist")
        if status < b"200" and not ends:
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL:
                raise CheckFailed(Reason.PROTOCOL, f"more than {_MAX_INFORMATIONAL} informational responses came")
            return
        self._headed = True
        self._check_that_it_is_grpc(int(status), fields)
        if ends:
            self._take_status(fields)  # "Trailers-Only"

    def _check_that_it_is_grpc(self, http_status: int, fields: dict[bytes, bytes]) -> None:
        """Accept a head with a gRPC status, or with the HTTP status and the content type that gRPC requires.

        Source: gRPC, "HTTP to gRPC Status Code Mapping".
        """
        content_type = fields.get(b"content-type", b"").lower()
        is_grpc = content_type.partition(b";")[0].partition(b"+")[0].strip() == b"application/grpc"
        if is_grpc and (http_status == 200 or b"grpc-status" in fields):
            return
        self.code = code_of_http(http_status)
        if http_status != 200:
            raise CheckFailed(Reason.STATUS, f"the server answered with HTTP status {http_status}, not with gRPC")
        what = f"has the content type '{shown(content_type)}'" if content_type else "has no content type"
        raise CheckFailed(Reason.PROTOCOL, f"the response is not gRPC: it {what}")

    def _take_status(self, fields: dict[bytes, bytes]) -> None:
        status = fields.get(b"grpc-status")
        if status is None:
            raise CheckFailed(Reason.PROTOCOL, "the server ended the call without a grpc-status")
        if not status.isdigit() or len(status) > 9:
            raise CheckFailed(Reason.PROTOCOL, f"the response has the grpc-status '{shown(status)}', not a number")
        self.code, self.text = int(status), decoded_message(fields.get(b"grpc-message", b""))
        self.ended = True

    def _take_settings(self, frame: Frame) -> None:
        if frame.stream or len(frame.payload) % 6 or (frame.flags & frames.ACK and frame.payload):
            raise broken("a SETTINGS frame is malformed")
        if not frame.flags & frames.ACK:
            self.outgoing += written(frames.SETTINGS, frames.ACK, 0)


def _take_goaway(frame: Frame) -> None:
    """Fail unless the server still answers the call (RFC 9113 section 6.8)."""
    last_stream = int.from_bytes(frame.payload[:4], "big") & 0x7FFFFFFF
    error_code = int.from_bytes(frame.payload[4:8], "big")
    if len(frame.payload) < 8 or error_code or last_stream < STREAM:
        raise CheckFailed(Reason.PROTOCOL, f"the server ended the connection with GOAWAY ({error_name(error_code)})")
