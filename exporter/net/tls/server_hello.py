"""Read a server's choices from its ServerHello, which is in the clear even when the handshake fails.

OpenSSL reports version and cipher suite only for successful handshakes, and pyOpenSSL never reports whether the server
supports secure renegotiation. Source: RFC 8446 sections 4.1.3 and 5.1, RFC 5746 section 3.4.
"""

from __future__ import annotations

from typing import NamedTuple

_VERSIONS = {0x0303: "TLS 1.2", 0x0302: "TLS 1.1", 0x0301: "TLS 1.0"}
_TLS13_SUITES = 0x13
_ALERT, _HANDSHAKE, _WARNING, _SERVER_HELLO = 21, 22, 1, 2
_RECORD_HEAD_BYTES, _MESSAGE_HEAD_BYTES = 5, 4
_SESSION_LENGTH_AT = _MESSAGE_HEAD_BYTES + 2 + 32
_RENEGOTIATION_INFO = 0xFF01


class ServerHello(NamedTuple):
    """What a server chose.

    Attributes:
        version: The TLS version, such as `TLS 1.2`.
        cipher_suite: The number of the cipher suite.
        is_legacy: Whether it is certain that the server does not support secure renegotiation (RFC 5746); TLS 1.3 has
            no renegotiation.
    """

    version: str
    cipher_suite: int
    is_legacy: bool = False


def read_server_hello(head: bytes) -> ServerHello | None:
    """Parse the first bytes from a server, as many as there are; None when they contain no choice."""
    message = _first_message(head)
    if len(message) <= _SESSION_LENGTH_AT or message[0] != _SERVER_HELLO:
        return None
    at = _SESSION_LENGTH_AT + 1 + message[_SESSION_LENGTH_AT]
    if len(message) < at + 2:
        return None
    suite = int.from_bytes(message[at : at + 2])
    if suite >> 8 == _TLS13_SUITES:
        return ServerHello("TLS 1.3", suite)
    version = _VERSIONS.get(int.from_bytes(message[_MESSAGE_HEAD_BYTES : _MESSAGE_HEAD_BYTES + 2]))
    return None if version is None else ServerHello(version, suite, _is_legacy(message, at + 3))


def _first_message(head: bytes) -> bytes:
    """Return the first handshake message from its records, as far as received; warnings before it are skipped."""
    message = b""
    while len(head) >= _RECORD_HEAD_BYTES:
        end = _RECORD_HEAD_BYTES + int.from_bytes(head[3:5])
        content = head[_RECORD_HEAD_BYTES:end]
        if head[0] == _HANDSHAKE:
            message += content
        elif head[0] != _ALERT or message or content[:1] != bytes([_WARNING]):
            break
        head = head[end:]
    return message


def _is_legacy(message: bytes, extensions_at: int) -> bool:
    end = _MESSAGE_HEAD_BYTES + int.from_bytes(message[1:_MESSAGE_HEAD_BYTES])
    if len(message) < end:
        return False
    at = extensions_at + 2
    while at + 4 <= end:
        if int.from_bytes(message[at : at + 2]) == _RENEGOTIATION_INFO:
            return False
        at += 4 + int.from_bytes(message[at + 2 : at + 4])
    return True
