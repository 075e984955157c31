"""Echo packets as octets: the ones built, and the ones parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.icmp.errors import EchoError, read_queued_error
from exporter.icmp.packets import EchoReply, echo_request, read_echo_reply, read_quoted_request, without_ip_header
from exporter.icmp.statistics import RoundTrips, summarize

WORDS = st.integers(0, 65535)


def ones_complement_sum(octets: bytes) -> int:
    """The sum of RFC 1071, carry by carry."""
    total = 0
    for start in range(0, len(octets), 2):
        total += int.from_bytes(octets[start : start + 2].ljust(2, b"\0"))
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(identifier=WORDS, sequence=WORDS, payload=st.binary(max_size=70))
def test_requests_have_a_valid_checksum(identifier: int, sequence: int, payload: bytes) -> None:
    """All words of an IPv4 request sum up to ones, for payloads of even and odd length."""
    assert ones_complement_sum(echo_request(4, identifier, sequence, payload)) == 0xFFFF


@pytest.mark.parametrize(("version", "kind"), [(4, 8), (6, 128)])
def test_requests_have_the_layout_of_the_rfc(version: int, kind: int) -> None:
    """Type, code, checksum, identifier, sequence number, payload."""
    request = echo_request(version, 0x0102, 0x0304, b"payload")
    assert (request[:2], request[4:]) == (bytes([kind, 0]), b"\x01\x02\x03\x04payload")
    assert read_quoted_request(version, request) == (0x0102, 0x0304)
    assert read_quoted_request(version, request[:7]) is None


@pytest.mark.parametrize(("version", "kind"), [(4, 0), (6, 129)])
def test_replies_are_read(version: int, kind: int) -> None:
    """Only complete echo replies count; requests, other codes and short packets do not."""
    reply = bytes([kind, 0, 9, 9, 1, 2, 3, 4]) + b"payload"
    assert read_echo_reply(version, reply) == EchoReply(0x0102, 0x0304, b"payload")
    assert read_echo_reply(version, reply[:8]) == EchoReply(0x0102, 0x0304, b"")
    assert read_echo_reply(version, reply[:7]) is None
    assert read_echo_reply(version, bytes([kind, 1]) + reply[2:]) is None
    assert read_echo_reply(version, echo_request(version, 1, 2, b"")) is None


@given(octets=st.binary(max_size=120))
def test_no_octets_are_too_odd_to_read(octets: bytes) -> None:
    """Anything may arrive."""
    for version in (4, 6):
        read_echo_reply(version, octets)
        read_quoted_request(version, octets)
        read_queued_error(version, octets)
    without_ip_header(octets)


def test_the_header_of_ipv4_may_have_options() -> None:
    """Its length is in the packet."""
    assert without_ip_header(bytes([0x45]) + bytes(19) + b"message") == b"message"
    assert without_ip_header(bytes([0x47]) + bytes(27) + b"message") == b"message"
    assert without_ip_header(b"") == b""


def test_unknown_errors_are_reported_by_number() -> None:
    """Error messages that have no phrase here are shown with type and code."""
    control = (
        (113).to_bytes(4, "little") + bytes([2, 3, 99, 0]) + bytes(8) + b"\x02\x00\x00\x00" + bytes([192, 0, 2, 1])
    )
    expected = EchoError("it refused the packet (ICMP type 3, code 99)", "192.0.2.1")
    assert read_queued_error(4, control) == expected
    assert str(expected) == "192.0.2.1 reports that it refused the packet (ICMP type 3, code 99)"


def test_statistics_of_a_series() -> None:
    """The deviation is that of the population, as ping(8) shows it."""
    trips = summarize(4, [0.010, 0.020, 0.030], 1)
    assert trips == pytest.approx(RoundTrips(4, 3, 1, 0.010, 0.020, 0.030, 0.0081649658))
    assert trips.loss_ratio == 0.25


def test_statistics_of_nothing() -> None:
    """Without replies, everything is lost, even when nothing was sent."""
    assert summarize(2, [], 0) == RoundTrips(2, 0)
    assert summarize(2, [], 0).loss_ratio == summarize(0, [], 0).loss_ratio == 1
