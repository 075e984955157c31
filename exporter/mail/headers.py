"""Read the header of a stored message: when it arrived, by which hops, and its subject.

The header is not trusted: the caller bounds its size, and this module the number of fields.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from email.message import Message

MAX_HOPS = 50
"""Received fields that are read, the newest first; servers refuse messages with more (RFC 5321 section 6.3)."""

_LONGEST_FIELD = 2000
_FIELD = re.compile(rb"^(Received|Date|Subject|From):[^\n]*(?:\n[ \t][^\n]*)*", re.MULTILINE | re.IGNORECASE)
_parser = BytesHeaderParser(policy=compat32)


class MessageHeader(NamedTuple):
    """What a check needs from a header.

    Attributes:
        subject: The subject, decoded; empty without one.
        sender: The field From, decoded; empty without one.
        received_timestamps_seconds: Unix time at which each hop received the message, the last hop first.
        date_timestamp_seconds: Unix time in the field Date; None without a readable one.
    """

    subject: str
    sender: str
    received_timestamps_seconds: tuple[float, ...]
    date_timestamp_seconds: float | None

    @property
    def arrived_timestamp_seconds(self) -> float | None:
        """Unix time at which the last hop received the message, or else its Date."""
        received = self.received_timestamps_seconds
        return received[0] if received else self.date_timestamp_seconds

    @property
    def transit_seconds(self) -> float | None:
        """Seconds between the first and the last hop by their own clocks, in whole seconds; None without any.

        The clocks of the hops may differ; a difference that would make it negative counts as none.
        """
        received = self.received_timestamps_seconds
        return max(received[0] - received[-1], 0.0) if received else None


def parse_header(octets: bytes) -> MessageHeader:
    """Parse the header of a message; fields that cannot be read are left out.

    Source: RFC 5322 section 3.6.7 for Received, whose date follows its last semicolon.
    """
    message = _parser.parsebytes(_needed_fields(octets))
    received = [
        timestamp
        for field in (message.get_all("Received") or ())[:MAX_HOPS]
        if (timestamp := _timestamp(str(field).rpartition(";")[2])) is not None
    ]
    return MessageHeader(
        subject=_decoded(message, "Subject"),
        sender=_decoded(message, "From"),
        received_timestamps_seconds=tuple(received),
        date_timestamp_seconds=_timestamp(str(message.get("Date", ""))),
    )


def _needed_fields(octets: bytes) -> bytes:
    """Return the fields that are read, unfolded and cut: parsing all of a large header would take long."""
    found: list[bytes] = []
    left = {b"received": MAX_HOPS, b"date": 1, b"subject": 1, b"from": 1}
    for field in _FIELD.finditer(octets.partition(b"\r\n\r\n")[0]):
        name = field[1].lower()
        if left[name]:
            left[name] -= 1
            text = b" ".join(field[0].split())
            if name == b"received":  # only its date is needed, which stands at its end
                text = b"Received: ;" + text.rpartition(b";")[2]
            found.append(text[:_LONGEST_FIELD])
    return b"\r\n".join(found) + b"\r\n\r\n"


def _timestamp(text: str) -> float | None:
    if len(text) > _LONGEST_FIELD:
        return None
    try:
        parsed = parsedate_to_datetime(text)
        if parsed.tzinfo is None:  # `-0000`: the time is UTC, the sender's zone is unknown (RFC 5322 section 3.3)
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _decoded(message: Message, name: str) -> str:
    """Return a field's text with encoded words decoded (RFC 2047), as sent when they cannot be."""
    sent = " ".join(str(message.get(name, ""))[:_LONGEST_FIELD].split())
    try:
        return str(make_header(decode_header(sent)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return sent
