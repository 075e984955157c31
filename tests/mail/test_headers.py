"""Headers of stored messages: arrival, hops and subject."""

from __future__ import annotations

import time
from calendar import timegm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mail.headers import MAX_HOPS, parse_header

HEADER = b"""\
Received: from mx.example (mx.example [192.0.2.1])
\tby store.example with LMTP id 1; Sun, 1 Mar 2026 12:00:09 +0000
Received: from client.example by mx.example; Sun, 01 Mar 2026 13:00:02 +0100 (CET)
Date: Sun, 1 Mar 2026 12:00:00 -0000
Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=
 matters
From: Backup <backup@client.example>

"""


def test_hops_are_read_from_the_last_to_the_first() -> None:
    """Times of Received fields have their zone; transit is the time between the first hop and the last."""
    header = parse_header(HEADER.replace(b"\n", b"\r\n"))
    noon = timegm((2026, 3, 1, 12, 0, 0))
    assert header.received_timestamps_seconds == (noon + 9, noon + 2)
    assert (header.arrived_timestamp_seconds, header.transit_seconds) == (noon + 9, 7)
    assert header.date_timestamp_seconds == noon
    assert (header.subject, header.sender) == ("Größe matters", "Backup <backup@client.example>")


def test_the_date_of_a_long_field_is_read() -> None:
    """A Received field may say a lot before its date."""
    octets = b"Received: from x (" + b"y" * 5000 + b")\r\n by z; Sun, 1 Mar 2026 12:00:00 +0000\r\n\r\n"
    assert parse_header(octets).received_timestamps_seconds == (timegm((2026, 3, 1, 12, 0, 0)),)


def test_clocks_that_differ_do_not_make_transit_negative() -> None:
    """A first hop whose clock is ahead makes a transit of 0."""
    late = b"Received: by a; Sun, 1 Mar 2026 12:00:00 +0000\r\nReceived: by b; Sun, 1 Mar 2026 12:00:05 +0000\r\n\r\n"
    assert parse_header(late).transit_seconds == 0


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"Received: no date\r\nDate: yesterday\r\n\r\n",
        b"Date: Sun, 1 Mar 99999999 12:00:00 +0000\r\n\r\n",
        b"Date: Sun, 1 Mar 2026 12:00:00 +9999999\r\n\r\n",
        b"Date: " + b"1" * 5000 + b"\r\n\r\n",
    ],
)
def test_what_cannot_be_read_is_left_out(octets: bytes) -> None:
    """Missing, nonsensical and huge dates are no dates."""
    header = parse_header(octets)
    assert (header.arrived_timestamp_seconds, header.transit_seconds) == (None, None)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"=?x-unknown?b?aGk=?=", "=?x-unknown?b?aGk=?="),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"=?utf-8?b?/w==?=", "=?utf-8?b?/w==?="),
    ],
)
def test_odd_encoded_words_do_not_matter(sent: bytes, read: str) -> None:
    """Encoded words that cannot be decoded are read as sent."""
    assert parse_header(b"Subject: " + sent + b"\r\n\r\n").subject == read


def test_large_headers_are_read_quickly() -> None:
    """Reading the largest header that is fetched takes a few milliseconds, whatever it contains."""
    nasty = [
        b"Received: by x; Sun, 1 Mar 2026 12:00:00 +0000\r\n" * 5000,
        b"Subject: " + b"=?utf-8?q?" * 6000 + b"\r\n",
        b"Subject: " + b"\r\n x" * 16000 + b"\r\n",
        b"Date: " + b"(" * 65000 + b"\r\n",
        b"Received: " + b";" * 65000 + b"\r\n",
        b":" * 65536,
    ]
    for octets in nasty:
        began = time.perf_counter()
        header = parse_header(octets + b"\r\n")
        assert time.perf_counter() - began < 0.5
        assert len(header.received_timestamps_seconds) <= MAX_HOPS


@given(st.binary(max_size=300))
def test_no_bytes_raise(octets: bytes) -> None:
    """Any bytes are read as a header, which may be empty."""
    parse_header(octets)
    parse_header(b"Subject: " + octets + b"\r\nDate: " + octets + b"\r\nReceived: ;" + octets)
