"""Names and spellings of gRPC statuses, and the deadline that a call sends to its server."""

from __future__ import annotations

import grpc
import pytest

from exporter.grpc.status import NAMES, decoded_message, spelled_status, status_name, timeout_value


def test_the_names_are_those_of_grpc() -> None:
    """Every code has the name that gRPC uses, and an unknown one is a number."""
    assert {code.value[0]: code.name for code in grpc.StatusCode} == dict(enumerate(NAMES))
    assert status_name(99) == "99"


@pytest.mark.parametrize("text", ["NOT_FOUND", "not-found", "Not Found", "5", " 5 "])
def test_a_status_has_several_spellings(text: str) -> None:
    """Names are understood in any case, and numbers too."""
    assert spelled_status(text) == "NOT_FOUND"


@pytest.mark.parametrize("text", ["17", "OKAY", "", "-1"])
def test_other_texts_are_rejected(text: str) -> None:
    """The error lists the statuses."""
    with pytest.raises(ValueError, match="is not a gRPC status; write one of OK, CANCELLED, UNKNOWN"):
        spelled_status(text)


@pytest.mark.parametrize(
    ("seconds", "value"),
    [
        (0.0, b"1m"),
        (0.25, b"250m"),
        (10, b"10000m"),
        (99_999.999, b"99999999m"),
        (1e6, b"1000000S"),
        (1e12, b"99999999S"),
    ],
)
def test_a_timeout_has_at_most_eight_digits(seconds: float, value: bytes) -> None:
    """The value is in milliseconds, or in seconds if there are too many digits."""
    assert timeout_value(seconds) == value


def test_a_message_is_bounded_and_printable() -> None:
    """A message is cut, and what a terminal would interpret is escaped."""
    assert decoded_message(b"a" * 5000) == "a" * 200
    assert decoded_message(b"%1b[31m%ff") == "\\x1b[31m\ufffd"
