"""NTP packets: building a request, and reading and validating the answer. Does no I/O.

Source: RFC 5905 section 7.3 (packet), section 7.4 (kiss codes), section 8 (offset and delay).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER_OCTETS = 48
COOKIE_OCTETS = 8
UNSYNCHRONIZED_STRATUM = 16
LEAPS = ("none", "insert", "delete", "unsynchronized")
"""What the leap indicator announces for the last minute of the day, by its value."""

_HEADER = struct.Struct("!BBbbII4sQQQQ")
_MODE_CLIENT, _MODE_SERVER = 3, 4
_SECOND = 2**32
_TIMESTAMPS = 2**64
_UNIX_EPOCH_SECONDS = 2_208_988_800
"""1970-01-01 in seconds since 1900-01-01."""

_REFUSALS = {
    "ACST": "it serves anycast only",
    "AUTH": "authentication failed",
    "AUTO": "autokey failed",
    "BCST": "it serves broadcast only",
    "CRYP": "authentication failed",
    "DENY": "access is denied",
    "MCST": "it serves multicast only",
    "NKEY": "no key was found",
    "NTSN": "a request for Network Time Security failed",
    "RATE": "requests come too often",
    "RMOT": "a remote host changed its configuration",
    "RSTR": "access is restricted by its policy",
}
"""Kiss codes that refuse a request; others, such as INIT and STEP, say that the server is not synchronized yet."""


class NtpAnswer(NamedTuple):
    """The answer of a server; timestamps are as in the packet, in units of 2^-32 seconds since 1900, modulo 2^64.

    Attributes:
        leap: The leap indicator, an index of LEAPS.
        mode: 4 for a server.
        stratum: Distance to a reference clock; 0 in a kiss-o'-death packet.
        precision_seconds: The precision of its clock.
        root_delay_seconds: Round-trip delay to its reference clock.
        root_dispersion_seconds: Greatest error relative to its reference clock.
        reference: What it is synchronized to, or the kiss code.
        set_at: When its clock was last set.
        originate: The cookie of the request.
        received_at: When it received the request.
        sent_at: When it sent the answer.
    """

    leap: int
    mode: int
    stratum: int
    precision_seconds: float
    root_delay_seconds: float
    root_dispersion_seconds: float
    reference: bytes
    set_at: int
    originate: int
    received_at: int
    sent_at: int

    @property
    def refusal(self) -> str:
        """Why the server refused the request, starting with its kiss code; empty when it did not."""
        code = self.reference.decode("latin-1")
        return f"{code}: {_REFUSALS[code]}" if not self.stratum and code in _REFUSALS else ""

    @property
    def effective_stratum(self) -> int:
        """The stratum, with 16 for every server that is not synchronized (RFC 5905 section 7.3)."""
        return self.stratum if 0 < self.stratum < UNSYNCHRONIZED_STRATUM else UNSYNCHRONIZED_STRATUM

    @property
    def why_unsynchronized(self) -> str:
        """What shows that the server is not synchronized; empty when it is."""
        if self.leap == LEAPS.index("unsynchronized"):
            return "its leap indicator says so"
        if self.effective_stratum == UNSYNCHRONIZED_STRATUM:
            return f"its stratum is {self.stratum}"
        return ""

    @property
    def reference_text(self) -> str:
        """What it is synchronized to: a source such as GPS for stratum 1, or an address (a hash of one for IPv6)."""
        if self.stratum > 1:
            return ".".join(map(str, self.reference))
        name = self.reference.rstrip(b"\x00").decode("latin-1")
        return name if name.isascii() and name.isprintable() else self.reference.hex()


def build_request(cookie: bytes) -> bytes:
    """Return a request of a client, version 4.

    Args:
        cookie: Random octets in place of the transmit timestamp. The server returns them as the originate timestamp, so
            that only who has seen the request can answer it, and they do not reveal the clock of this host.
    """
    return bytes([4 << 3 | _MODE_CLIENT]) + bytes(HEADER_OCTETS - 1 - COOKIE_OCTETS) + cookie


def build_answer(request: bytes, unix_nanoseconds: int) -> bytes | None:
    """Return the answer of a server of stratum 1 to a request; None when it is not a request of a client.

    Args:
        request: The request.
        unix_nanoseconds: The time of the server.
    """
    if len(request) < HEADER_OCTETS or request[0] & 0x07 != _MODE_CLIENT:
        return None
    now = ntp_timestamp(unix_nanoseconds)
    flags, originate = 4 << 3 | _MODE_SERVER, int.from_bytes(request[HEADER_OCTETS - COOKIE_OCTETS : HEADER_OCTETS])
    return _HEADER.pack(flags, 1, 0, -20, 0, 0, b"LOCL", now, originate, now, now)


def read_answer(datagram: bytes) -> NtpAnswer | None:
    """Read an answer, without what may follow its header; None when it is too short to be one."""
    if len(datagram) < HEADER_OCTETS:
        return None
    flags, stratum, _, precision, delay, dispersion, reference, *timestamps = _HEADER.unpack_from(datagram)
    return NtpAnswer(
        flags >> 6,
        flags & 0x07,
        stratum,
        2.0**precision,
        delay / 2**16,
        dispersion / 2**16,
        reference,
        *timestamps,
    )


def why_no_answer(answer: NtpAnswer | None, cookie: bytes) -> str:
    """Return why a packet does not answer a request; empty when it does."""
    if answer is None:
        return f"it is shorter than {HEADER_OCTETS} octets"
    if answer.mode != _MODE_SERVER:
        return f"its mode is {answer.mode}, and that of servers is {_MODE_SERVER}"
    if answer.originate != int.from_bytes(cookie):
        return "its originate timestamp is not that of the request"
    if not answer.refusal and not (answer.received_at and answer.sent_at):
        return "it has no time"
    return ""


def ntp_timestamp(unix_nanoseconds: int) -> int:
    """Return a time as a timestamp of NTP; it wraps around in 2036 and every 136 years after."""
    return (_UNIX_EPOCH_SECONDS * _SECOND + unix_nanoseconds * _SECOND // 10**9) % _TIMESTAMPS


def seconds_between(earlier: int, later: int) -> float:
    """Return the seconds from one timestamp to another less than 68 years away; negative when it is earlier."""
    difference = (later - earlier) % _TIMESTAMPS
    return (difference - _TIMESTAMPS if difference >= _TIMESTAMPS // 2 else difference) / _SECOND


def offset_and_delay(answer: NtpAnswer, asked_at: int, answered_at: int) -> tuple[float, float]:
    """Return how far the server's clock is ahead, in seconds, and the seconds that the packets spent in the network.

    Args:
        answer: The answer.
        asked_at: When the request was sent, as a timestamp of this host's clock.
        answered_at: When the answer arrived, likewise.
    """
    there = seconds_between(asked_at, answer.received_at)
    back = seconds_between(answered_at, answer.sent_at)
    return (there + back) / 2, max(there - back, 0.0)
