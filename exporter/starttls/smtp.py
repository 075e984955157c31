"""STARTTLS of SMTP (RFC 3207)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.numbered_replies import read_reply
from exporter.starttls.script import Send, not_offered, refused, refused_connection

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Script


def smtp(names: Names) -> Script:
    """Read the greeting, ask for extensions with EHLO, and send STARTTLS."""
    greeting = yield from read_reply("SMTP")
    if greeting.code != 220:
        raise refused_connection(str(greeting))
    yield Send(b"EHLO %s\r\n" % names.client.encode())
    extensions = yield from read_reply("SMTP")
    if extensions.code != 250:
        raise refused("EHLO", str(extensions))
    if b"STARTTLS" not in {line.partition(b" ")[0].upper() for line in extensions.lines[1:]}:
        raise not_offered("STARTTLS")
    yield Send(b"STARTTLS\r\n")
    answer = yield from read_reply("SMTP")
    if answer.code != 220:
        raise refused("STARTTLS", str(answer))
