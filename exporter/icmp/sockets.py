"""Opening sockets for ICMP, with or without privileges, and the options of a single packet.

A datagram socket needs no privilege where net.ipv4.ping_group_range includes a group of the process, and the kernel
delivers only replies with its identifier. A raw socket needs CAP_NET_RAW and receives every reply on the host.
Source: icmp(7), raw(7), ip(7), ipv6(7).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure

_IP_MTU_DISCOVER, _IP_RECVERR, _IP_RECVTTL = 10, 11, 12
_IPV6_MTU_DISCOVER, _IPV6_RECVERR, _IPV6_DONTFRAG = 23, 25, 62
_PMTUDISC_DONT, _PMTUDISC_PROBE = 0, 3
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1
_SO_TIMESTAMPNS = 35
"""Constants of Linux that Python's `socket` does not name; source: linux/in.h, linux/in6.h, linux/icmp.h."""

_LEVEL = {4: socket.IPPROTO_IP, 6: socket.IPPROTO_IPV6}
_ERRORS_WANTED = {4: _IP_RECVERR, 6: _IPV6_RECVERR}
_HOP_LIMIT_WANTED = {4: _IP_RECVTTL, 6: socket.IPV6_RECVHOPLIMIT}
_HOP_LIMIT = {4: socket.IP_TTL, 6: socket.IPV6_HOPLIMIT}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_PROTOCOL = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_ECHO_REPLY = {4: 0, 6: 129}

_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked for; the kernel allows at most net.core.rmem_max. The replies to a whole batch arrive here."""

_DENIED = (errno.EACCES, errno.EPERM)

Ancillary = tuple[tuple[int, int, bytes], ...]
"""Control messages of sendmsg(2)."""

_INT = struct.Struct("i")
_TIMESPEC = struct.Struct("ll")


class EchoSocket(NamedTuple):
    """An open socket.

    Attributes:
        socket: The socket, non-blocking.
        version: 4 or 6.
        is_raw: Whether it receives IPv4 headers and all replies on the host.
    """

    socket: socket.socket
    version: int
    is_raw: bool


def open_echo_socket(version: int, *, source_ip: str | None, dont_fragment: bool) -> EchoSocket:
    """Open a socket for echo requests: a datagram socket, or else a raw one.

    A source address is bound, because datagram sockets for ICMPv6 ignore one in the control messages of a packet.

    Args:
        version: 4 or 6.
        source_ip: The local address to send from; None for the system's choice.
        dont_fragment: Whether packets that are too large for a link are dropped and reported, rather than fragmented.

    Raises:
        CheckFailed: With reason `local` when this process is not permitted to, or the system cannot.
    """
    try:
        opened = _open(version)
        try:
            _configure(opened, dont_fragment=dont_fragment)
            if source_ip is not None or not opened.is_raw:
                opened.socket.bind((source_ip or "", 0))  # a datagram socket gets its identifier
        except BaseException:
            opened.socket.close()
            raise
    except OSError as error:
        if error.errno in _DENIED:
            raise CheckFailed(Reason.LOCAL, _what_is_missing()) from error
        sender = "" if source_ip is None else f" from {source_ip}"
        raise connection_failure(error, f"opening a socket for ICMP over IPv{version}{sender}") from error
    return opened


def may_ping() -> bool:
    """Return whether this process may send echo requests over IPv4."""
    try:
        open_echo_socket(4, source_ip=None, dont_fragment=False).socket.close()
    except CheckFailed:
        return False
    return True


def _open(version: int) -> EchoSocket:
    family, protocol = _FAMILY[version], _PROTOCOL[version]
    try:
        datagrams = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
        return EchoSocket(datagrams, version, is_raw=False)
    except OSError as error:
        if error.errno not in (*_DENIED, errno.EPROTONOSUPPORT):
            raise
    packets = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    return EchoSocket(packets, version, is_raw=True)


def _what_is_missing() -> str:
    """Return why no socket could be opened, and what an administrator can do about it."""
    return (
        f"this process may not send ICMP: include its group {os.getegid()} in the sysctl net.ipv4.ping_group_range, "
        "or give it the capability CAP_NET_RAW"
    )


def _configure(opened: EchoSocket, *, dont_fragment: bool) -> None:
    """Ask for errors, hop limits and kernel timestamps, and for nothing but echo replies."""
    configured, version, is_raw = opened
    level = _LEVEL[version]
    configured.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    configured.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    configured.setsockopt(level, _ERRORS_WANTED[version], 1)
    configured.setsockopt(level, _HOP_LIMIT_WANTED[version], 1)
    discovery = _PMTUDISC_PROBE if dont_fragment else _PMTUDISC_DONT
    configured.setsockopt(level, _IP_MTU_DISCOVER if version == 4 else _IPV6_MTU_DISCOVER, discovery)
    if version == 6:
        configured.setsockopt(level, _IPV6_DONTFRAG, int(dont_fragment))
    if not is_raw:
        return
    if version == 4:
        configured.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("I", 0xFFFFFFFF ^ 1 << _ECHO_REPLY[4]))
    else:
        configured.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _all_but(_ECHO_REPLY[6]))


def _all_but(kind: int) -> bytes:
    """Return a `struct icmp6_filter` that blocks every type of message but one (RFC 3542 section 3.2)."""
    words = [0xFFFFFFFF] * 8
    words[kind >> 5] ^= 1 << (kind & 31)
    return struct.pack("8I", *words)


def packet_options(version: int, ttl: int | None) -> Ancillary:
    """Return the control messages that send one packet with a hop limit.

    Args:
        version: 4 or 6.
        ttl: The hop limit; None for the system's.
    """
    return () if ttl is None else ((_LEVEL[version], _HOP_LIMIT[version], _INT.pack(ttl)),)


def read_control(version: int, messages: list[tuple[int, int, bytes]]) -> tuple[int | None, float | None]:
    """Return the hop limit of a received packet, and the Unix time when the kernel received it; None if unknown.

    Args:
        version: 4 or 6.
        messages: The control messages of recvmsg(2).
    """
    hop_limit = received_at = None
    for level, kind, content in messages:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            received_at = seconds + nanoseconds * 1e-9
        elif level == _LEVEL[version] and kind == _HOP_LIMIT[version]:
            (hop_limit,) = _INT.unpack_from(content)
    return hop_limit, received_at


def read_error_control(version: int, messages: list[tuple[int, int, bytes]]) -> bytes:
    """Return the control message that describes an error; empty when there is none."""
    wanted = _LEVEL[version], _ERRORS_WANTED[version]
    return next((content for level, kind, content in messages if (level, kind) == wanted), b"")


def socket_address(version: int, address: str) -> tuple[str, int] | tuple[str, int, int, int]:
    """Return the address of a peer for sendmsg(2); the zone of a link-local address becomes its scope."""
    if version == 4 or "%" not in address:
        return (address, 0)
    bare, _, zone = address.partition("%")
    return (bare, 0, 0, int(zone) if zone.isdigit() else socket.if_nametoindex(zone))
