"""SSLRequest of PostgreSQL (protocol 3.0, section "SSL Session Encryption")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.script import Exactly, Send, Until, garbled, not_offered, refused_connection, shown

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Script

SSL_REQUEST = bytes.fromhex("00000008 04d2162f")
"""A length of 8 bytes and the code of the request."""


def postgresql(names: Names) -> Script:
    """Send the request and read the answer of one byte; PostgreSQL has no greeting."""
    yield Send(SSL_REQUEST)
    answer = yield Exactly(1)
    if answer == b"N":
        raise not_offered("TLS")
    if answer == b"E":  # a text rather than an ErrorResponse, sent by a server that could not start a process
        message = yield Until(b"\0", 8192)
        raise refused_connection(shown(message.removesuffix(b"\0")))
    if answer != b"S":
        raise garbled(answer, "the protocol of PostgreSQL")
