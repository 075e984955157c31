"""The message that a probe sends."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from exporter.mail.message import as_mail_data, build_message

MOMENT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_a_message_has_what_mail_servers_ask_for() -> None:
    """It is complete, says that it was made by a program, and encodes a subject in any script."""
    octets = build_message(sender="a@x.test", recipient="b@y.test", subject="Größe", token="abc", sent_at=MOMENT)
    message = message_from_bytes(octets, policy=policy.default)
    assert dict(message.items()) == {
        "Date": "Sun, 01 Mar 2026 12:00:00 +0000",
        "From": "a@x.test",
        "To": "b@y.test",
        "Subject": "Größe",
        "Message-ID": "<abc@x.test>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert octets.isascii()
    assert b"\n" not in octets.replace(b"\r\n", b"")


def test_the_null_sender_is_not_an_author() -> None:
    """With the null sender, the recipient stands in From."""
    octets = build_message(sender="", recipient="b@[192.0.2.1]", subject="s", token="abc", sent_at=MOMENT)
    assert b"From: b@[192.0.2.1]\r\n" in octets
    assert b"Message-ID: <abc@192.0.2.1>\r\n" in octets


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\nQUIT\r\n", b"..\r\nQUIT\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
    ],
)
def test_no_line_of_a_message_ends_it(message: bytes, data: bytes) -> None:
    """Dots at the start of lines are doubled."""
    assert as_mail_data(message) == data
