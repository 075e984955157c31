"""AUTH TLS of FTP (RFC 4217)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.numbered_replies import read_reply
from exporter.starttls.script import Send, not_offered, refused, refused_connection

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Script

_READY_SOON = 120
_UNKNOWN_COMMAND = (500, 502)


def ftp(names: Names) -> Script:
    """Read the greeting, ask for features with FEAT, and send AUTH TLS.

    A server that does not know FEAT (RFC 2389) may still know AUTH, so AUTH TLS is sent anyway.
    """
    greeting = yield from read_reply("FTP", free_lines=True)
    if greeting.code == _READY_SOON:
        greeting = yield from read_reply("FTP", free_lines=True)
    if greeting.code != 220:
        raise refused_connection(str(greeting))
    yield Send(b"FEAT\r\n")
    features = yield from read_reply("FTP", free_lines=True)
    if features.code not in _UNKNOWN_COMMAND and not any(map(_is_auth_tls, features.lines[1:-1])):
        raise not_offered("AUTH TLS")
    yield Send(b"AUTH TLS\r\n")
    answer = yield from read_reply("FTP", free_lines=True)
    if answer.code != 234:
        raise refused("AUTH TLS", str(answer))


def _is_auth_tls(feature: bytes) -> bool:
    """Whether a line of the list is `AUTH TLS`; several mechanisms are separated by semicolons."""
    name, _, mechanisms = feature.strip().upper().partition(b" ")
    return name == b"AUTH" and b"TLS" in {one.strip() for one in mechanisms.split(b";")}
