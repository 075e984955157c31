"""Echo requests and replies as octets, without sockets: building them, and reading what arrives.

Source: RFC 792 (ICMP), RFC 4443 section 4 (ICMPv6), RFC 1071 (checksum).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER_OCTETS = 8
MAX_PAYLOAD_BYTES = 65535 - 20 - HEADER_OCTETS
"""What still fits an IPv4 packet; IPv6 would allow 20 bytes more."""

TOKEN_BYTES = 16
"""Random bytes at the start of a payload; they cannot be guessed by anyone who has not seen the request."""

_ECHO_REQUEST = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
_ECHO = struct.Struct("!BBHHH")
_MAX_SUM = 0xFFFF


class EchoReply(NamedTuple):
    """A received echo reply.

    Attributes:
        identifier: The identifier; with datagram sockets, the one that the kernel assigned.
        sequence: The sequence number of the request.
        payload: The payload, which should be that of the request.
    """

    identifier: int
    sequence: int
    payload: bytes


def echo_request(version: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """Build an echo request.

    Args:
        version: 4 or 6. The checksum of ICMPv6 includes addresses, so the kernel adds it.
        identifier: The identifier; a datagram socket replaces it with its own.
        sequence: The sequence number.
        payload: The payload.
    """
    kind = _ECHO_REQUEST[version]
    if version == 6:
        return _ECHO.pack(kind, 0, 0, identifier, sequence) + payload
    return _ECHO.pack(kind, 0, _checksum(kind, identifier, sequence, payload), identifier, sequence) + payload


def _checksum(kind: int, identifier: int, sequence: int, payload: bytes) -> int:
    """Return the Internet checksum; the ones' complement sum of 16-bit words is the remainder modulo 65535."""
    whole = payload + b"\x00" if len(payload) % 2 else payload
    total = (kind << 8) + identifier + sequence + int.from_bytes(whole)
    return _MAX_SUM - total % _MAX_SUM


def read_echo_reply(version: int, octets: bytes) -> EchoReply | None:
    """Return the echo reply in an ICMP message; None for any other message, and for one that is too short."""
    if len(octets) < HEADER_OCTETS:
        return None
    kind, code, _, identifier, sequence = _ECHO.unpack_from(octets)
    if kind != _ECHO_REPLY[version] or code:
        return None
    return EchoReply(identifier, sequence, octets[HEADER_OCTETS:])


def read_quoted_request(version: int, octets: bytes) -> tuple[int, int] | None:
    """Return identifier and sequence number of the echo request that an error message quotes; None for other packets.

    Routers need to quote no more than the first 8 octets (RFC 792), so the payload may be missing.
    """
    if len(octets) < HEADER_OCTETS:
        return None
    kind, _, _, identifier, sequence = _ECHO.unpack_from(octets)
    return (identifier, sequence) if kind == _ECHO_REQUEST[version] else None


def without_ip_header(packet: bytes) -> bytes:
    """Return what follows the header of an IPv4 packet, as raw sockets receive it; empty when nothing does."""
    return packet[(packet[0] & 0x0F) * 4 :] if packet else b""
