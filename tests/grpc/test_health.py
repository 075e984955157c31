"""The messages of the health service, compared with those of Google's protobuf library."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2

from exporter.errors import CheckFailed
from exporter.grpc.health import SERVING_STATUSES, decoded_response, encoded_request
from exporter.model import Reason


@pytest.mark.parametrize("service", ["", "shop.Cart", "\u00fcber", "x" * 300])
def test_a_request_is_what_protobuf_writes(service: str) -> None:
    """A request has the same bytes as one written by protobuf."""
    assert encoded_request(service) == health_pb2.HealthCheckRequest(service=service).SerializeToString()


@pytest.mark.parametrize(("number", "name"), [*enumerate(SERVING_STATUSES), (7, "7"), (300, "300")])
def test_a_response_of_protobuf_is_read(number: int, name: str) -> None:
    """Every status has its name, and a number without a name is shown as digits."""
    assert decoded_response(health_pb2.HealthCheckResponse(status=number).SerializeToString()) == name


@pytest.mark.parametrize(
    "message",
    [
        b"\x08\x02\x08\x01",  # the last one counts
        b"\x12\x03abc\x08\x01",
        b"\x08\x01\x19" + bytes(8),
        b"\x25" + bytes(4) + b"\x08\x81\x00",  # a number may be longer than needed
        b"\x0a\x00\x08\x01",  # the field as another kind is an unknown one
    ],
)
def test_unknown_fields_are_skipped(message: bytes) -> None:
    """A later version of the protocol may add fields, and repeated fields are allowed."""
    assert decoded_response(message) == "SERVING"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\x08", "a number in it does not end"),
        (b"\x08" + b"\xff" * 11, "a number in it does not end"),
        (b"\x12\x05ab", "it ends within a field"),
        (b"\x12\xff\xff\xff\xff\x0f", "it ends within a field"),
        (b"\x19\x00", "it ends within a field"),
        (b"\x0b", "it has a field of wire type 3"),
        (b"\x00\x01", "it has a field with the number 0"),
    ],
)
def test_what_is_not_protobuf_is_rejected(message: bytes, why: str) -> None:
    """A message that cannot be read fails with reason decode."""
    with pytest.raises(CheckFailed) as caught:
        decoded_response(message)
    assert caught.value.reason is Reason.DECODE
    assert caught.value.detail == f"the message is not a HealthCheckResponse: {why}"
