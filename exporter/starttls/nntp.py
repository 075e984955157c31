"""STARTTLS of NNTP (RFC 4642)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.numbered_replies import read_block, read_reply
from exporter.starttls.script import Send, not_offered, refused, refused_connection

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Script

_GREETINGS = (200, 201)


def nntp(names: Names) -> Script:
    """Read the greeting, ask for CAPABILITIES, and send STARTTLS."""
    greeting = yield from read_reply("NNTP")
    if greeting.code not in _GREETINGS:
        raise refused_connection(str(greeting))
    yield Send(b"CAPABILITIES\r\n")
    answer = yield from read_reply("NNTP")
    if answer.code != 101:
        raise refused("CAPABILITIES", str(answer))
    capabilities = yield from read_block("NNTP")
    if b"STARTTLS" not in {line.partition(b" ")[0].upper() for line in capabilities}:
        raise not_offered("STARTTLS")
    yield Send(b"STARTTLS\r\n")
    answer = yield from read_reply("NNTP")
    if answer.code != 382:
        raise refused("STARTTLS", str(answer))
