"""SMTP replies, well-formed and not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CheckFailed
from exporter.mail.smtp_replies import MAX_REPLY_LINES, ReplyParser, SmtpReply, capabilities_of, capability_words
from exporter.model import Reason


def parse(*lines: bytes) -> SmtpReply | None:
    parser = ReplyParser()
    for line in lines[:-1]:
        assert parser.feed(line) is None
    return parser.feed(lines[-1])


def test_replies_have_one_line_or_several() -> None:
    """The last line of a reply has a blank after the code, or nothing."""
    assert parse(b"220 mail.test ESMTP") == SmtpReply(220, ("mail.test ESMTP",))
    assert parse(b"250-mail.test", b"250-SIZE 1000", b"250 HELP") == SmtpReply(250, ("mail.test", "SIZE 1000", "HELP"))
    assert parse(b"250") == SmtpReply(250, ("",))


@pytest.mark.parametrize("line", [b"", b"hello", b"22 x", b"2200 x", b"150 x", b"600 x", b"220x", b"\xff\xfe", b"+OK"])
def test_anything_else_is_not_a_reply(line: bytes) -> None:
    """A line that does not begin with a reply code is a violation of the protocol."""
    with pytest.raises(CheckFailed, match="is not an SMTP reply") as caught:
        parse(line)
    assert caught.value.reason is Reason.PROTOCOL


def test_the_lines_of_a_reply_belong_together() -> None:
    """A reply whose code changes, or that does not end, is rejected."""
    with pytest.raises(CheckFailed, match="have the codes 250 and 550"):
        parse(b"250-one", b"550 two")
    with pytest.raises(CheckFailed, match="more than 200 lines"):
        parse(*[b"250-again"] * MAX_REPLY_LINES, b"250 end")


def test_refusals_are_temporary_or_final() -> None:
    """4yz is a temporary refusal, 5yz a final one."""
    found = [(reply.code, reply.is_positive, reply.is_temporary) for code in (250, 354, 421, 550)
             for reply in [SmtpReply(code, ("",))]]  # fmt: skip
    assert found == [(250, True, False), (354, True, False), (421, False, True), (550, False, False)]


def test_text_is_bounded_and_printable() -> None:
    """What a server says is shown on one line, without control characters, and cut."""
    assert SmtpReply(550, ("no\x1b[31m", "such\ruser")).text == "550 no [31m such user"
    assert len(SmtpReply(550, ("x" * 1000,)).text) == 201


def test_capabilities_are_the_lines_after_the_first() -> None:
    """The first line names the server; AUTH= is read as AUTH."""
    reply = SmtpReply(250, ("mail.test", "starttls", "AUTH=plain login"))
    assert capabilities_of(reply) == ("STARTTLS", "AUTH PLAIN LOGIN")


def test_capabilities_are_bounded() -> None:
    """However much a server announces, little of it is kept."""
    words = capability_words(f"x{number}" + "y" * 1000 for number in range(10_000))
    assert (len(words), len(words[0])) == (MAX_REPLY_LINES, 201)


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=5))
def test_no_bytes_raise_anything_else(lines: list[bytes]) -> None:
    """Any bytes are a reply, part of one, or a violation of the protocol."""
    parser = ReplyParser()
    with suppress(CheckFailed):
        for line in lines:
            parser.feed(line)
