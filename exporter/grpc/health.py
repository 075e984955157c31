"""The two messages of the health service, grpc.health.v1, in protobuf's wire format.

Sources: gRPC, "GRPC Health Checking Protocol"; Protocol Buffers, "Encoding". The messages have one field each, so
reading them takes fewer lines than using a protobuf library would.
"""

from __future__ import annotations

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.protobuf import delimited

CHECK_PATH = "/grpc.health.v1.Health/Check"
"""The path of the method."""

SERVING_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
"""Names of the statuses, which are their numbers' places in this list."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


def encoded_request(service: str) -> bytes:
    """Return a HealthCheckRequest; an empty service asks about the server as a whole."""
    return delimited(1, service.encode()) if service else b""


def decoded_response(message: bytes) -> str:
    """Return the status in a HealthCheckResponse; a number that has no name is returned as digits.

    Unknown fields are skipped and of several statuses the last counts, as in every protobuf reader.

    Raises:
        CheckFailed: With reason `decode` when it is not a protobuf message.
    """
    status, place = 0, 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        field, wire_type = tag >> 3, tag & 7
        if not field:
            raise _undecodable("it has a field with the number 0")
        if wire_type == _VARINT:
            value, place = _read_varint(message, place)
            status = value & 0xFFFFFFFF if field == 1 else status
        elif wire_type == _BYTES:
            length, place = _read_varint(message, place)
            place += length
        elif wire_type in (_FIXED64, _FIXED32):
            place += 8 if wire_type == _FIXED64 else 4
        else:
            raise _undecodable(f"it has a field of wire type {wire_type}")
        if place > len(message):
            raise _undecodable("it ends within a field")
    return SERVING_STATUSES[status] if status < len(SERVING_STATUSES) else str(status)


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """Return a number and the place after it."""
    number = 0
    for count, octet in enumerate(message[place : place + _MAX_VARINT_BYTES]):
        number |= (octet & 0x7F) << (7 * count)
        if not octet & 0x80:
            return number, place + count + 1
    raise _undecodable("a number in it does not end")


def _undecodable(why: str) -> CheckFailed:
    return CheckFailed(Reason.DECODE, f"the message is not a HealthCheckResponse: {why}")
