"""STLS of POP3 (RFC 2595 section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.numbered_replies import read_block
from exporter.starttls.script import Line, Send, garbled, not_offered, refused, refused_connection, shown

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Part, Script


def pop3(names: Names) -> Script:
    """Read the greeting, ask for capabilities with CAPA, and send STLS.

    A server that does not know CAPA (RFC 2449) may still know STLS, so it is sent anyway.
    """
    is_ok, text = yield from _status()
    if not is_ok:
        raise refused_connection(text)
    yield Send(b"CAPA\r\n")
    is_ok, _ = yield from _status()
    if is_ok:
        capabilities = yield from read_block("POP3")
        if b"STLS" not in {line.strip().upper() for line in capabilities}:
            raise not_offered("STLS")
    yield Send(b"STLS\r\n")
    is_ok, text = yield from _status()
    if not is_ok:
        raise refused("STLS", text)


def _status() -> Part[tuple[bool, str]]:
    """Read a status line (RFC 1939 section 3); return whether it is positive, and the line."""
    line = yield Line()
    word = line.partition(b" ")[0].upper()
    if word not in (b"+OK", b"-ERR"):
        raise garbled(line, "POP3")
    return word == b"+OK", shown(line)
