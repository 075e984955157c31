"""Messages on a gRPC stream, each with its length in front. Source: gRPC over HTTP2, "Length-Prefixed-Message"."""

from __future__ import annotations

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.quantities import counted

_PREFIX_BYTES = 5
_MESSAGE_LIMIT_BYTES = 1 << 14  # a health message has a few bytes


def prefixed(message: bytes) -> bytes:
    """Return an uncompressed message as it is sent."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class MessageReader:
    """Reads the one message of a unary answer from the data of its stream; lives as long as the call."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> None:
        """Take data of the stream.

        Raises:
            CheckFailed: `protocol` when the message is compressed, which was not offered, or another one follows it,
                `too_large` when it is longer than a health message can be.
        """
        self._received += data
        received = self._received
        if received and received[0]:
            what = "is compressed, which was not offered" if received[0] == 1 else f"has the flags {received[0]:#x}"
            raise CheckFailed(Reason.PROTOCOL, f"the message {what}")
        if len(received) < _PREFIX_BYTES:
            return
        announced = int.from_bytes(received[1:_PREFIX_BYTES], "big")
        if announced > _MESSAGE_LIMIT_BYTES:
            why = f"the message is announced with {announced} bytes; at most {_MESSAGE_LIMIT_BYTES} are read"
            raise CheckFailed(Reason.TOO_LARGE, why)
        if len(received) > _PREFIX_BYTES + announced:
            raise CheckFailed(Reason.PROTOCOL, "the answer to a unary call has more than one message")

    def message(self) -> bytes:
        """Return the message at the end of the stream.

        Raises:
            CheckFailed: With reason `protocol` when it is missing or incomplete.
        """
        received = self._received
        if not received:
            raise CheckFailed(Reason.PROTOCOL, "the call ended with OK and without a message")
        if len(received) < _PREFIX_BYTES or len(received) - _PREFIX_BYTES < int.from_bytes(received[1:5], "big"):
            raise CheckFailed(
                Reason.PROTOCOL, f"the call ended after {counted(len(received), 'byte')} of an incomplete message"
            )
        return bytes(received[_PREFIX_BYTES:])
