"""IMAP responses, well-formed, odd and hostile."""

from __future__ import annotations

from calendar import timegm
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CheckFailed
from exporter.mail.imap_responses import (
    ImapResponse,
    internal_date_of,
    numbers_found,
    parse_response,
    split_literal,
    uid_of,
)
from exporter.model import Reason


@pytest.mark.parametrize(
    ("line", "response"),
    [
        (b"A1 OK done", ImapResponse("A1", "OK", text="done")),
        (b"A1 OK", ImapResponse("A1", "OK")),
        (b"A1 no [AUTHENTICATIONFAILED] bad", ImapResponse("A1", "NO", code="AUTHENTICATIONFAILED", text="bad")),
        (b"* OK [CAPABILITY IMAP4rev1 X] hi", ImapResponse("*", "OK", code="CAPABILITY IMAP4rev1 X", text="hi")),
        (b"* BYE", ImapResponse("*", "BYE")),
        (b"* 23 EXISTS", ImapResponse("*", "EXISTS", 23)),
        (b"* SEARCH 1 2 3", ImapResponse("*", "SEARCH", text="1 2 3")),
        (b"* SEARCH", ImapResponse("*", "SEARCH")),
        (b"* CAPABILITY IMAP4rev1", ImapResponse("*", "CAPABILITY", text="IMAP4rev1")),
        (b"+ go on", ImapResponse("+", "", text="go on")),
        (b"+", ImapResponse("+", "")),
        (b"* FLAGS (\\Seen)", ImapResponse("*", "FLAGS", text="(\\Seen)")),
    ],
)
def test_responses_are_parsed(line: bytes, response: ImapResponse) -> None:
    """Status responses, data and continuation requests are distinguished, in any case."""
    assert parse_response([line]) == response


@pytest.mark.parametrize("line", [b"", b"hello", b"220 mail.test ESMTP", b"*", b"* ", b"\xff\xff", b"A1 SEARCH 1"])
def test_anything_else_is_not_a_response(line: bytes) -> None:
    """Other lines are a violation of the protocol."""
    with pytest.raises(CheckFailed, match="is not an IMAP response") as caught:
        parse_response([line])
    assert caught.value.reason is Reason.PROTOCOL


def test_literals_are_part_of_a_response() -> None:
    """The lines around a literal are joined, and the literal is kept apart."""
    lines = [b"* 1 FETCH (BODY[HEADER]<0> ", b" UID 7)"]
    response = parse_response(lines, [b"Subject: ) UID 9 (\r\n\r\n"])
    assert response.literals == (b"Subject: ) UID 9 (\r\n\r\n",)
    assert uid_of(response) == 7


def test_announced_literals_are_bounded() -> None:
    """A length beyond the limit is rejected before a byte of the literal is read, however many digits it has."""
    assert split_literal(b"* 1 FETCH (BODY[] {12}") == (b"* 1 FETCH (BODY[] ", 12)
    assert split_literal(b"* 1 FETCH (BODY[] {00012}") == (b"* 1 FETCH (BODY[] ", 12)
    assert split_literal(b"* 1 FETCH (FLAGS ())") == (b"* 1 FETCH (FLAGS ())", None)
    for digits in (b"262145", b"3000000000", b"9" * 40):
        with pytest.raises(CheckFailed, match="announces a literal of") as caught:
            split_literal(b"* 1 FETCH (BODY[] {" + digits + b"}")
        assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("line", [b"* 4294967296 EXISTS", b"* 99999999999999999999 EXISTS"])
def test_numbers_have_32_bits(line: bytes) -> None:
    """A larger number is a violation of the protocol."""
    with pytest.raises(CheckFailed, match="where a 32-bit number belongs"):
        parse_response([line])


def test_found_numbers_are_bounded() -> None:
    """A search that finds too many messages fails, and so does one whose numbers are not numbers."""
    assert numbers_found(parse_response([b"* SEARCH 4 2 (MODSEQ 9)"]), 3) == [4, 2]
    with pytest.raises(CheckFailed, match="too many messages match"):
        numbers_found(parse_response([b"* SEARCH 1 2 3 4"]), 3)
    with pytest.raises(CheckFailed, match="32-bit number"):
        numbers_found(parse_response([b"* SEARCH 1 x"]), 3)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("17-Jul-1996 02:44:25 -0700", timegm((1996, 7, 17, 9, 44, 25))),
        (" 1-jan-2026 00:00:00 +0130", timegm((2025, 12, 31, 22, 30, 0))),
        ("32-Jan-2026 00:00:00 +0000", None),
        ("01-Xxx-2026 00:00:00 +0000", None),
        ("01-Jan-0001 00:00:00 +0000", None),
        ("01-Jan-2026 25:00:00 +0000", None),
        ("yesterday", None),
    ],
)
def test_arrival_times_are_read(text: str, timestamp: float | None) -> None:
    """Times are read with their zone; nonsense is not a time."""
    response = parse_response([f'* 1 FETCH (UID 1 INTERNALDATE "{text}")'.encode()])
    assert internal_date_of(response) == timestamp


@given(st.binary(max_size=120))
def test_no_bytes_raise_anything_else(line: bytes) -> None:
    """Any line is a response or a failure with a reason."""
    with suppress(CheckFailed):
        text, _ = split_literal(line)
        response = parse_response([text])
        numbers_found(response, 10)
        uid_of(response)
        internal_date_of(response)
