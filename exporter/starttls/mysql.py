"""TLS of MySQL and MariaDB: the greeting offers it, an SSLRequest packet asks for it.

Source: MySQL internals, "Protocol::HandshakeV10" and "Protocol::SSLRequest".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.script import Exactly, Send, garbled, not_offered, refused_connection, shown

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Script

_VERSION, _ERROR = 10, 0xFF
_CLIENT_LONG_PASSWORD, _CLIENT_PROTOCOL_41 = 0x1, 0x200
_CLIENT_SSL, _CLIENT_SECURE_CONNECTION = 0x800, 0x8000
_CAPABILITIES = _CLIENT_LONG_PASSWORD | _CLIENT_PROTOCOL_41 | _CLIENT_SSL | _CLIENT_SECURE_CONNECTION
_MAX_PACKET_BYTES = 1 << 24
_UTF8 = 33
_MAX_GREETING_BYTES = 4096
_AFTER_VERSION = 4 + 8 + 1
"""Bytes between the version of the server and its capabilities: thread id, first part of the challenge, filler."""

_REQUEST = (
    _CAPABILITIES.to_bytes(4, "little") + _MAX_PACKET_BYTES.to_bytes(4, "little") + bytes((_UTF8,)) + bytes(23)
)  # fmt: skip


def mysql(names: Names) -> Script:
    """Read the greeting with the server's capabilities, and send SSLRequest, to which there is no answer."""
    head = yield Exactly(4)
    length = int.from_bytes(head[:3], "little")
    if not 0 < length <= _MAX_GREETING_BYTES or head[3] != 0:
        raise garbled(head, "the protocol of MySQL")
    greeting = yield Exactly(length)
    if greeting[0] == _ERROR:
        raise refused_connection(shown(greeting[3:]))
    _, version_ends, rest = greeting[1:].partition(b"\0")
    capabilities = rest[_AFTER_VERSION : _AFTER_VERSION + 2]
    if greeting[0] != _VERSION or not version_ends or len(capabilities) < 2:
        raise garbled(greeting, "the protocol of MySQL")
    if not int.from_bytes(capabilities, "little") & _CLIENT_SSL:
        raise not_offered("TLS")
    yield Send(len(_REQUEST).to_bytes(3, "little") + b"\x01" + _REQUEST)
