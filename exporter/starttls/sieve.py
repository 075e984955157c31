"""STARTTLS of ManageSieve (RFC 5804 section 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.literals import read_logical_line
from exporter.starttls.script import (
    MAX_LINES,
    Send,
    garbled,
    not_offered,
    refused,
    refused_connection,
    shown,
    too_many_lines,
)

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Part, Script


def sieve(names: Names) -> Script:
    """Read the greeting, which lists the capabilities, and send STARTTLS."""
    answer, capabilities = yield from _answer()
    if not answer.upper().startswith(b"OK"):
        raise refused_connection(shown(answer))
    if b'"STARTTLS"' not in {line.upper().strip() for line in capabilities}:
        raise not_offered("STARTTLS")
    yield Send(b"STARTTLS\r\n")
    answer, _ = yield from _answer()
    if not answer.upper().startswith(b"OK"):
        raise refused("STARTTLS", shown(answer))


def _answer() -> Part[tuple[bytes, list[bytes]]]:
    """Read until a line that begins with OK, NO or BYE; return it and the lines of data before it."""
    data: list[bytes] = []
    while len(data) < MAX_LINES:
        line = yield from read_logical_line()
        if line[:4].upper().split(b" ")[0].strip() in (b"OK", b"NO", b"BYE"):
            return line, data
        if not line.startswith((b'"', b"{")):
            raise garbled(line, "ManageSieve")
        data.append(line)
    raise too_many_lines("ManageSieve")
