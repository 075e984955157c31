"""Errors about sent requests: reading them from a socket's error queue, and explaining what they mean.

Source: ip(7) and ipv6(7), IP_RECVERR; RFC 792 and RFC 1812 section 5.2.7 (ICMP), RFC 4443 section 3 (ICMPv6).
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_FAMILY = struct.Struct("=H")
_FROM_ICMP = {2: 4, 3: 6}
"""Origins of `struct sock_extended_err` that are ICMP messages, to IP version."""

_LARGEST_ERRNO = 4095
_TOO_BIG = {4: (3, 4), 6: (2, 0)}

_PHRASES_4 = {
    (3, 0): "the network is unreachable",
    (3, 1): "the host is unreachable",
    (3, 2): "the protocol is unreachable",
    (3, 3): "the port is unreachable",
    (3, 5): "the source route failed",
    (3, 6): "the network is unknown",
    (3, 7): "the host is unknown",
    (3, 9): "communication with the network is prohibited",
    (3, 10): "communication with the host is prohibited",
    (3, 11): "the network is unreachable for this type of service",
    (3, 12): "the host is unreachable for this type of service",
    (3, 13): "a filter prohibits the communication",
    (3, 14): "the host's precedence is violated",
    (3, 15): "the precedence is too low",
    (11, 0): "the time to live was exceeded",
    (11, 1): "reassembly took too long",
}
_PHRASES_6 = {
    (1, 0): "there is no route to the destination",
    (1, 1): "a filter prohibits the communication",
    (1, 2): "the destination is beyond the scope of the source address",
    (1, 3): "the address is unreachable",
    (1, 4): "the port is unreachable",
    (1, 5): "the source address failed a policy",
    (1, 6): "the route to the destination is rejected",
    (3, 0): "the hop limit was exceeded",
    (3, 1): "reassembly took too long",
}
_PHRASES = {4: _PHRASES_4, 6: _PHRASES_6}


class EchoError(NamedTuple):
    """An error about one request.

    Attributes:
        phrase: What happened, as a clause.
        sender: Address of the host that reported it; empty when this host did.
    """

    phrase: str
    sender: str

    def __str__(self) -> str:
        return f"{self.sender} reports that {self.phrase}" if self.sender else self.phrase


def read_queued_error(version: int, control: bytes) -> EchoError | None:
    """Read one control message of an error queue; None when it cannot be read.

    Args:
        version: IP version of the socket.
        control: A `struct sock_extended_err` and the address of the host that sent the error.
    """
    if len(control) < _EXTENDED_ERROR.size:
        return None
    number, origin, kind, code, _, information, _ = _EXTENDED_ERROR.unpack_from(control)
    if origin not in _FROM_ICMP:
        return EchoError(os.strerror(min(number, _LARGEST_ERRNO)).lower(), "")
    if (kind, code) == _TOO_BIG[version]:
        phrase = f"the packet is larger than the {information} bytes that its next link can carry"
    else:
        phrase = _PHRASES[version].get((kind, code), f"it refused the packet (ICMP type {kind}, code {code})")
    return EchoError(phrase, _offender(version, control[_EXTENDED_ERROR.size :]))


def _offender(version: int, address: bytes) -> str:
    """Return the address in a `struct sockaddr_in` or `struct sockaddr_in6`; empty when there is none."""
    family, start, end = (socket.AF_INET, 4, 8) if version == 4 else (socket.AF_INET6, 8, 24)
    if len(address) < end or _FAMILY.unpack_from(address)[0] != family:
        return ""
    return socket.inet_ntop(family, address[start:end])
