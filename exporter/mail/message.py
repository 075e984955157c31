"""Build the message that a probe sends, and encode it for transmission."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)
_BODY = "This message was sent by a synthetic check of nyxmon-exporter.\nNo reply is needed.\n"


def build_message(*, sender: str, recipient: str, subject: str, token: str, sent_at: datetime) -> bytes:
    """Return a message in the form of RFC 5322, with CRLF line ends.

    Args:
        sender: Address in From; empty for the null sender, which leaves the recipient's address there.
        recipient: Address in To.
        subject: Subject, one line.
        token: What identifies the message, part of its Message-ID; letters and digits.
        sent_at: Date of the message, with a time zone.
    """
    message = EmailMessage(policy=SMTP)
    author = sender or recipient
    message["Date"] = format_datetime(sent_at)
    message["From"] = author
    message["To"] = recipient
    message["Subject"] = subject
    message["Message-ID"] = f"<{token}@{author.rpartition('@')[2].strip('[]')}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(_BODY)
    return message.as_bytes()


def as_mail_data(message: bytes) -> bytes:
    """Return a message as it follows DATA: dots at the start of lines doubled, with the final dot.

    Source: RFC 5321 section 4.5.2.
    """
    stuffed = _LINE_START_DOT.sub(b"..", message)
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"
