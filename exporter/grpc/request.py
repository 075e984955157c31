"""Encodes a unary call for a new HTTP/2 connection. Sources: gRPC over HTTP2, "Requests"; RFC 9113; RFC 7541."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpack import Encoder, NeverIndexedHeaderTuple

from exporter.grpc import frames
from exporter.grpc.frames import STREAM, written
from exporter.grpc.messages import prefixed
from exporter.grpc.status import timeout_value

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD_LIMIT_BYTES = 1 << 16
"""The largest header list accepted in an answer, announced in SETTINGS."""

_ENABLE_PUSH, _MAX_HEADER_LIST_SIZE = 2, 6  # RFC 9113 section 6.5.2
_SETTINGS = b"".join(
    key.to_bytes(2, "big") + value.to_bytes(4, "big")
    for key, value in ((_ENABLE_PUSH, 0), (_MAX_HEADER_LIST_SIZE, HEAD_LIMIT_BYTES))
)
_OPENING = frames.PREFACE + written(frames.SETTINGS, 0, 0, _SETTINGS)


class UnaryRequest:
    """One call, encoded once for all runs of a check; immutable.

    Args:
        scheme: `http` or `https`.
        authority: Host and port, as the server knows them.
        path: The path of the method.
        user_agent: Value of the header User-Agent.
        metadata: Names in lower case and values, in order; never put into a header table.
        message: The message.
    """

    def __init__(
        self,
        *,
        scheme: str,
        authority: str,
        path: str,
        user_agent: str,
        metadata: Sequence[tuple[bytes, bytes]],
        message: bytes,
    ) -> None:
        fields: list[tuple[bytes, bytes]] = [
            (b":method", b"POST"),
            (b":scheme", scheme.encode()),
            (b":path", path.encode()),
            (b":authority", authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", user_agent.encode()),
            *(NeverIndexedHeaderTuple(name, value) for name, value in metadata),
        ]
        self._block = Encoder().encode(fields)
        self._body = written(frames.DATA, frames.END_STREAM, STREAM, prefixed(message))

    def opening(self, timeout_seconds: float | None) -> bytes:
        """Return everything that the client sends before it hears from the server.

        Args:
            timeout_seconds: How long the server may take; None for no limit.
        """
        block = self._block
        if timeout_seconds is not None:
            value = timeout_value(timeout_seconds)
            block += b"\x00\x0cgrpc-timeout" + bytes((len(value),)) + value  # literal, RFC 7541 section 6.2.2
        pieces = [block[start : start + 16384] for start in range(0, len(block), 16384)]
        last = len(pieces) - 1
        head = [
            written(
                frames.CONTINUATION if number else frames.HEADERS,
                frames.END_HEADERS if number == last else 0,
                STREAM,
                piece,
            )
            for number, piece in enumerate(pieces)
        ]
        return b"".join((_OPENING, *head, self._body))
