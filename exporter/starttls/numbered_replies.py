"""Replies that begin with a number of three digits, as in SMTP, FTP and NNTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.starttls.script import MAX_LINES, Line, garbled, shown, too_many_lines

if TYPE_CHECKING:
    from exporter.starttls.script import Part

_FIRST_LINE = re.compile(rb"([1-5][0-9][0-9])(?:([ -])(.*))?")


class Reply(NamedTuple):
    """One reply.

    Attributes:
        code: Its number.
        lines: The text of each line, without the number.
    """

    code: int
    lines: tuple[bytes, ...]

    def __str__(self) -> str:
        return shown(b"%d %s" % (self.code, b" / ".join(self.lines)))


def read_reply(protocol: str, *, free_lines: bool = False) -> Part[Reply]:
    """Read a reply of one or more lines: all but the last have a hyphen after the number.

    Args:
        protocol: The protocol, for messages.
        free_lines: Whether lines between the first and the last may lack the number (RFC 959 section 4.2), which
            RFC 5321 section 4.2.1 does not allow.
    """
    lines: list[bytes] = []
    code = b""
    while len(lines) < MAX_LINES:
        line = yield Line()
        match = _FIRST_LINE.fullmatch(line)
        belongs = match is not None and (not lines or match[1] == code)
        if match is None or not belongs:
            if not (lines and free_lines):
                raise garbled(line, protocol)
            lines.append(line)
            continue
        code = match[1]
        lines.append(match[3] or b"")
        if match[2] != b"-":
            return Reply(int(code), tuple(lines))
    raise too_many_lines(protocol)


def read_block(protocol: str) -> Part[tuple[bytes, ...]]:
    """Read lines until one that is only a dot, as POP3 (RFC 1939 section 3) and NNTP (RFC 3977 section 3.1.1) send."""
    lines: list[bytes] = []
    while (line := (yield Line())) != b".":
        lines.append(line.removeprefix(b"."))
        if len(lines) >= MAX_LINES:
            raise too_many_lines(protocol)
    return tuple(lines)
