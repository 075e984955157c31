"""Parse POP3 replies within limits (RFC 1939 section 3)."""

from __future__ import annotations

import re
from typing import NamedTuple

from exporter.errors import CheckFailed
from exporter.mail.smtp_replies import printable
from exporter.model import Reason

MAX_REPLY_LINE_BYTES = 2048
MAX_LISTING_BYTES = 256 * 1024
"""Bytes of a reply of several lines; the header of a message is one."""

_REPLY = re.compile(r"(\+OK|-ERR)(?: +(.*))?", re.DOTALL | re.IGNORECASE)
_CODE = re.compile(r"\[([A-Za-z0-9/_-]{1,40})\]")
_DROP_LISTING = re.compile(r"([0-9]{1,10}) +([0-9]{1,20})(?: .*)?", re.DOTALL)
_TEMPORARY = frozenset(("SYS/TEMP", "IN-USE", "LOGIN-DELAY"))
"""Response codes of refusals that may soon be over (RFC 2449 section 8, RFC 3206 section 3)."""

_SHOWN_BYTES = 200


class Pop3Reply(NamedTuple):
    """The first line of a reply.

    Attributes:
        is_positive: Whether it is +OK.
        text: What follows.
    """

    is_positive: bool
    text: str

    @property
    def said(self) -> str:
        """The reply on one bounded line, for logs and details."""
        return printable(f"{'+OK' if self.is_positive else '-ERR'} {self.text}")

    @property
    def is_temporary(self) -> bool:
        """Whether it is a refusal that does not concern the credentials, and may soon be over."""
        code = _CODE.match(self.text)
        return not self.is_positive and code is not None and code[1].upper() in _TEMPORARY


def parse_reply(line: bytes) -> Pop3Reply:
    """Parse the first line of a reply.

    Raises:
        CheckFailed: With reason `protocol` when it is not one.
    """
    match = _REPLY.fullmatch(line.decode(errors="replace"))
    if match is None:
        said = printable(line[:_SHOWN_BYTES].decode(errors="replace"))
        raise CheckFailed(Reason.PROTOCOL, f"a line of the server is not a POP3 reply: {said}")
    return Pop3Reply(match[1].upper() == "+OK", match[2] or "")


def parse_drop_listing(reply: Pop3Reply) -> int:
    """Return the number of messages in a reply to STAT (RFC 1939 section 5).

    Raises:
        CheckFailed: With reason `protocol` when it has none.
    """
    match = _DROP_LISTING.fullmatch(reply.text)
    if match is None:
        raise CheckFailed(Reason.PROTOCOL, f"the server answered STAT with {reply.said}")
    return int(match[1])


def mechanisms_of(capabilities: tuple[str, ...]) -> frozenset[str]:
    """Return the SASL mechanisms among the lines of a reply to CAPA (RFC 5034 section 6)."""
    return frozenset(word for line in capabilities for word in line.split()[1:] if line.startswith("SASL "))
