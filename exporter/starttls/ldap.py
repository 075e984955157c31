"""StartTLS of LDAP (RFC 4511 section 4.14): an extended request, which a server without TLS answers with an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.starttls.script import Exactly, Send, garbled, refused, shown

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Part, Script

_MESSAGE_ID = b"\x02\x01\x01"
_OBJECT_IDENTIFIER = b"1.3.6.1.4.1.1466.20037"
_REQUEST = _MESSAGE_ID + b"\x77\x18\x80\x16" + _OBJECT_IDENTIFIER
_SEQUENCE, _ENUMERATED, _OCTETS, _EXTENDED_RESPONSE = 0x30, 0x0A, 0x04, 0x78
_MAX_BYTES = 65536

_RESULTS = {1: "operationsError", 2: "protocolError", 8: "strongerAuthRequired", 51: "busy", 52: "unavailable"}
_RESULTS |= {53: "unwillingToPerform", 80: "other"}


def ldap(names: Names) -> Script:
    """Send the extended request and read its response; LDAP has no greeting."""
    yield Send(bytes((_SEQUENCE, len(_REQUEST))) + _REQUEST)
    message = yield from _message()
    try:
        code, diagnostic = _result_of(message)
    except (ValueError, IndexError):
        raise garbled(message, "LDAP") from None
    if code:
        name = _RESULTS.get(code, "")
        raise refused("StartTLS", f"result code {code} {name}{': ' if diagnostic else ''}{shown(diagnostic)}".strip())


def _message() -> Part[bytes]:
    """Read the content of one LDAPMessage."""
    head = yield Exactly(2)
    length = head[1]
    if length > 0x80:
        octets = b""
        if length <= 0x84:
            octets = yield Exactly(length & 0x7F)
        head, length = head + octets, int.from_bytes(octets, "big")
    if head[0] != _SEQUENCE or not 0 < length <= _MAX_BYTES:
        raise garbled(head, "LDAP")
    return (yield Exactly(length))


def _result_of(message: bytes) -> tuple[int, bytes]:
    """Return result code and diagnostic message of an ExtendedResponse.

    Raises:
        ValueError: When the message is not a response to the request.
        IndexError: When it ends too early.
    """
    if not message.startswith((_MESSAGE_ID, b"\x02\x01\x00")):  # 0 is a notice of disconnection
        raise ValueError("another message")
    tag, response, _ = _element(message[3:])
    if tag != _EXTENDED_RESPONSE:
        raise ValueError("another response")
    tag, code, rest = _element(response)
    if tag != _ENUMERATED:
        raise ValueError("no result code")
    _, _, rest = _element(rest)
    tag, diagnostic, _ = _element(rest)
    if tag != _OCTETS:
        raise ValueError("no diagnostic message")
    return int.from_bytes(code, "big"), diagnostic


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Split the first BER element off: its tag, its content, and what follows."""
    tag, length, start = data[0], data[1], 2
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if length > len(data) - start:
        raise IndexError("the element ends after its message")
    return tag, data[start : start + length], data[start + length :]
