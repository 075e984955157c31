"""POP3 replies, well-formed and not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CheckFailed
from exporter.mail.pop3_replies import Pop3Reply, mechanisms_of, parse_drop_listing, parse_reply
from exporter.model import Reason


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"+OK ready", Pop3Reply(True, "ready")),
        (b"+ok", Pop3Reply(True, "")),
        (b"-ERR [AUTH] no", Pop3Reply(False, "[AUTH] no")),
    ],
)
def test_replies_are_positive_or_negative(line: bytes, reply: Pop3Reply) -> None:
    """The status indicator counts, whatever its case."""
    assert parse_reply(line) == reply


@pytest.mark.parametrize("line", [b"", b"OK", b"+OKAY", b"* OK", b"220 x", b"\xff"])
def test_anything_else_is_not_a_reply(line: bytes) -> None:
    """Other lines are a violation of the protocol."""
    with pytest.raises(CheckFailed, match="is not a POP3 reply") as caught:
        parse_reply(line)
    assert caught.value.reason is Reason.PROTOCOL


def test_temporary_refusals_have_a_code() -> None:
    """Refusals with these response codes do not concern the credentials."""
    lines = (b"-ERR [IN-USE] x", b"-ERR [SYS/TEMP] x", b"-ERR [login-delay] x", b"-ERR [AUTH] x", b"-ERR x", b"+OK x")
    assert [parse_reply(line).is_temporary for line in lines] == [True, True, True, False, False, False]


def test_the_number_of_messages_is_read() -> None:
    """STAT is answered with the number of messages and their size; anything else is a violation of the protocol."""
    assert parse_drop_listing(Pop3Reply(True, "12 3400 more")) == 12
    for text in ("", "x", "12", "-1 5", "9" * 30 + " 1"):
        with pytest.raises(CheckFailed, match="answered STAT with"):
            parse_drop_listing(Pop3Reply(True, text))


def test_mechanisms_are_those_of_sasl() -> None:
    """Only the capability SASL lists mechanisms."""
    assert mechanisms_of(("USER", "SASL PLAIN LOGIN", "SASLX CRAM-MD5")) == {"PLAIN", "LOGIN"}


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(line: bytes) -> None:
    """Any line is a reply or a failure with a reason."""
    with suppress(CheckFailed):
        parse_drop_listing(parse_reply(line))
