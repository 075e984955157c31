"""Hosts that answer pings well and badly, at the other end of a tunnel: 10.77.0.N and fd77::N behave in way N."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.network_namespace import tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAY_SECONDS = 0.05
REPLY_HOP_LIMIT = 42
MTU = 1280
LEAST_HOPS = 5
"""How far away `FAR` is."""

OWN = {4: ("10.77.255.1", "10.77.255.2"), 6: ("fd77:1::1", "fd77:1::2")}
"""Addresses of the host that pings; the first is the one it chooses itself."""

ROUTER = {4: "10.77.0.254", 6: "fd77::fe"}

Answers = list[tuple[float, bytes]]
"""Packets, and seconds until each is sent."""

Kinds = tuple[tuple[int, int], tuple[int, int]]
"""Type and code of a message in IPv4, and in IPv6."""


class Peer(IntEnum):
    """How a host behaves, and the last part of its addresses."""

    GOOD = 1
    SILENT = 2
    LOSES_EVERY_OTHER = 3
    DUPLICATES = 4
    SLOW = 5
    OTHER_PAYLOAD = 6
    OTHER_HOST = 7
    UNREACHABLE = 8
    LOOP = 9
    OTHER_ID = 10
    OTHER_SEQUENCE = 11
    SHORT_QUOTE = 12
    TOO_BIG = 13
    PROHIBITED = 14
    SHORTENS = 15
    GARBAGE = 16
    FLOODS = 17
    FAR = 18
    UNREACHABLE_EVERY_OTHER = 19
    ONLY_SECOND_ADDRESS = 20
    NO_FRAGMENTING = 21
    UNREACHABLE_FOR_OTHERS = 22

    def address(self, version: int) -> str:
        """The host's address."""
        return f"10.77.0.{self.value}" if version == 4 else f"fd77::{self.value:x}"


class Request(NamedTuple):
    """A received echo request.

    Attributes:
        version: 4 or 6.
        source: Address of the host that pings.
        target: Address of the host that is pinged.
        hop_limit: The hop limit it arrived with.
        dont_fragment: Whether it must not be fragmented.
        message: The ICMP message.
        packet: The whole packet.
    """

    version: int
    source: str
    target: str
    hop_limit: int
    dont_fragment: bool
    message: bytes
    packet: bytes

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.message[6:8])

    def packed(self, kind: int, code: int, rest: bytes, *, sender: str = "", hop_limit: int = REPLY_HOP_LIMIT) -> bytes:
        """A packet with an ICMP message to the host that pings; `rest` is what follows the checksum."""
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        source = socket.inet_pton(family, sender or self.target)
        target = socket.inet_pton(family, self.source)
        message = struct.pack("!BBH", kind, code, 0) + rest
        if self.version == 4:
            message = message[:2] + _checksum(message) + message[4:]
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, hop_limit, 1, 0) + source + target
            return header[:10] + _checksum(header) + header[12:] + message
        pseudo = source + target + struct.pack("!II", len(message), 58)
        message = message[:2] + _checksum(pseudo + message) + message[4:]
        return struct.pack("!IHBB", 0x60000000, len(message), 58, hop_limit) + source + target + message

    def reply(self, rest: bytes | None = None, *, sender: str = "") -> bytes:
        """An echo reply; `rest` is identifier, sequence number and payload, those of the request by default."""
        return self.packed(0 if self.version == 4 else 129, 0, rest or self.message[4:], sender=sender)

    def error(
        self, kinds: tuple[tuple[int, int], tuple[int, int]], *, quoted: int = 500, information: int = 0
    ) -> bytes:
        """An error message from the router; type and code for IPv4 and IPv6."""
        kind, code = kinds[self.version == 6]
        quote = self.packet[: (20 if self.version == 4 else 40) + quoted]
        return self.packed(kind, code, struct.pack("!I", information) + quote, sender=ROUTER[self.version])


HOST_UNREACHABLE, EXCEEDED, TOO_LARGE, PROHIBITED = (
    ((3, 1), (1, 3)),
    ((11, 0), (3, 0)),
    ((3, 4), (2, 0)),
    ((3, 13), (1, 1)),
)


def _checksum(octets: bytes) -> bytes:
    return (0xFFFF - int.from_bytes(octets + bytes(len(octets) % 2)) % 0xFFFF).to_bytes(2)


def _read(packet: bytes) -> Request | None:
    """Read an unfragmented echo request; None for any other packet."""
    if packet[0] >> 4 == 4:
        if packet[9] != 1 or packet[20] != 8:
            return None
        source, target = (socket.inet_ntop(socket.AF_INET, packet[start:][:4]) for start in (12, 16))
        return Request(4, source, target, packet[8], bool(packet[6] & 0x40), packet[20:], packet)
    if packet[6] != 58 or packet[40] != 128:
        return None
    source, target = (socket.inet_ntop(socket.AF_INET6, packet[start:][:16]) for start in (8, 24))
    return Request(6, source, target, packet[7], dont_fragment=True, message=packet[40:], packet=packet)


def answer(packet: bytes) -> Answers:  # noqa: C901, PLR0912 - one case for each host
    """Answer a packet as the host it is sent to does."""
    request = _read(packet)
    if request is None:
        return []
    number = socket.inet_pton(socket.AF_INET if request.version == 4 else socket.AF_INET6, request.target)[-1]
    rest = request.message[4:]
    identifier, sequence, payload = rest[:2], rest[2:4], rest[4:]
    is_odd = bool(request.sequence % 2)
    match number:
        case Peer.SILENT:
            return []
        case Peer.LOSES_EVERY_OTHER if is_odd:
            return []
        case Peer.DUPLICATES:
            return [(0.0, request.reply())] * 2
        case Peer.SLOW:
            return [(DELAY_SECONDS, request.reply())]
        case Peer.OTHER_PAYLOAD:
            return [(0.0, request.reply(rest[:-1] + b"\xff"))]
        case Peer.OTHER_HOST:
            return [(0.0, request.reply(sender=ROUTER[request.version]))]
        case Peer.UNREACHABLE:
            return [(0.0, request.error(HOST_UNREACHABLE))]
        case Peer.UNREACHABLE_EVERY_OTHER if is_odd:
            return [(0.0, request.error(HOST_UNREACHABLE))]
        case Peer.LOOP:
            return [(0.0, request.error(EXCEEDED))]
        case Peer.FAR if request.hop_limit < LEAST_HOPS:
            return [(0.0, request.error(EXCEEDED))]
        case Peer.OTHER_ID:
            return [(0.0, request.reply(bytes(octet ^ 0xFF for octet in identifier) + rest[2:]))]
        case Peer.OTHER_SEQUENCE:
            return [(0.0, request.reply(identifier + ((request.sequence + 7) % 65536).to_bytes(2) + payload))]
        case Peer.SHORT_QUOTE:
            return [(0.0, request.error(HOST_UNREACHABLE, quoted=8))]
        case Peer.TOO_BIG:
            return [(0.0, request.error(TOO_LARGE, information=MTU))]
        case Peer.PROHIBITED:
            return [(0.0, request.error(PROHIBITED))]
        case Peer.SHORTENS:
            return [(0.0, request.reply(rest[:24]))]
        case Peer.GARBAGE:
            return [(0.0, request.reply(identifier + sequence + os.urandom(len(payload) + 3)))]
        case Peer.FLOODS:
            floods = [request.reply(identifier + os.urandom(len(rest) - 2)) for _ in range(100)]
            return [*((0.0, flood) for flood in floods), (0.0, request.reply())]
        case Peer.ONLY_SECOND_ADDRESS if request.source != OWN[request.version][1]:
            return []
        case Peer.NO_FRAGMENTING if not request.dont_fragment:
            return []
        case Peer.UNREACHABLE_FOR_OTHERS:
            return [(0.0, request.error(HOST_UNREACHABLE)), (0.0, request.reply())]
        case _:
            return [(0.0, request.reply())]


@contextmanager
def run_echo_peers() -> Iterator[None]:
    """Run the hosts in the network of the calling thread, which `in_own_network` gave it."""
    commands = [
        *(f"address add {own}/32 dev {{device}}" for own in OWN[4]),
        *(f"address add {own}/128 dev {{device}} nodad" for own in OWN[6]),
        f"route add 10.77.0.0/24 dev {{device}} src {OWN[4][0]}",
        f"route add fd77::/64 dev {{device}} src {OWN[6][0]}",
        "route add unreachable 10.78.0.0/24",
    ]
    with tunnel(answer, *commands):
        yield
