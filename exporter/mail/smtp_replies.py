"""Parse SMTP replies, line by line and within limits (RFC 5321 section 4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_REPLY_LINE_BYTES = 2048
"""Four times what RFC 5321 section 4.5.3.1.5 allows; some servers write long explanations."""

MAX_REPLY_LINES = 200

_SHOWN_CHARACTERS = 200
_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]?)(.*)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A reply of a server; immutable.

    Attributes:
        code: The reply code, 200 to 599.
        lines: The text of each line, without codes and line ends.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        """Whether the server did what it was asked, or goes on (2yz, 3yz)."""
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        """Whether the server refused for now, so that trying again may help (4yz)."""
        return 400 <= self.code < 500

    @property
    def text(self) -> str:
        """Code and text on one line, cut, for logs and details."""
        return printable(" ".join((str(self.code), *self.lines)))


def printable(text: str) -> str:
    """Return what a server said as one bounded line without control characters."""
    clean = _UNPRINTABLE.sub(" ", text).strip()
    return clean if len(clean) <= _SHOWN_CHARACTERS else f"{clean[:_SHOWN_CHARACTERS]}…"


def capability_words(announced: Iterable[str]) -> tuple[str, ...]:
    """Return what a server announces in upper case, within limits: expectations may search all of it."""
    return tuple(printable(word).upper() for word in islice(announced, MAX_REPLY_LINES))


class ReplyParser:
    """Assembles one reply from its lines; used for one reply."""

    def __init__(self) -> None:
        self._code = 0
        self._lines: list[str] = []

    def feed(self, line: bytes) -> SmtpReply | None:
        """Take the next line, without its line end; return the reply once it is complete.

        Raises:
            CheckFailed: With reason `protocol` when the line is not part of a reply, or the reply is too long.
        """
        match = _LINE.fullmatch(line)
        if match is None or (match[3] and not match[2]):
            said = printable(line[:_SHOWN_CHARACTERS].decode(errors="replace"))
            raise CheckFailed(Reason.PROTOCOL, f"a line of the server is not an SMTP reply: {said}")
        code = int(match[1])
        if self._lines and code != self._code:
            raise CheckFailed(Reason.PROTOCOL, f"the lines of one reply have the codes {self._code} and {code}")
        if len(self._lines) >= MAX_REPLY_LINES:
            raise CheckFailed(Reason.PROTOCOL, f"a reply has more than {MAX_REPLY_LINES} lines")
        self._code = code
        self._lines.append(match[3].decode(errors="replace"))
        return None if match[2] == b"-" else SmtpReply(code, tuple(self._lines))


def capabilities_of(reply: SmtpReply) -> tuple[str, ...]:
    """Return the service extensions that a reply to EHLO announces, in upper case, such as `AUTH PLAIN LOGIN`.

    Source: RFC 5321 section 4.1.1.1. The first line is the server's name. `AUTH=PLAIN`, as old servers write it,
    is read as `AUTH PLAIN`.
    """
    return tuple(line.replace("AUTH=", "AUTH ", 1) for line in capability_words(reply.lines[1:]))
