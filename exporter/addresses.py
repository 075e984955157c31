"""Endpoints, and parsed IP addresses with what every check needs of them computed once per address."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193
_CACHED_ADDRESSES = 8192


class Address(NamedTuple):
    """One IP address.

    Attributes:
        text: Canonical text; a link-local address includes its zone.
        version: 4 or 6.
        fnv1a: 32-bit FNV-1a hash of its 4 or 16 bytes.
    """

    text: str
    version: int
    fnv1a: int


class Endpoint(NamedTuple):
    """One end of a connection.

    Attributes:
        host: Name or IP address, IPv6 without brackets.
        port: Port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return endpoint(self.host, self.port)


@lru_cache(maxsize=_CACHED_ADDRESSES)
def parse_address(text: str) -> Address | None:
    """Parse an IP address; None when the text is something else, such as a name."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return Address(str(address), address.version, fnv1a(address.packed))


def fnv1a(octets: bytes) -> int:
    """Return the 32-bit FNV-1a hash.

    Source: draft-eastlake-fnv section 2; blackbox_exporter defines `probe_ip_addr_hash` by it.
    """
    value = _FNV_OFFSET
    for octet in octets:
        value = (value ^ octet) * _FNV_PRIME & 0xFFFFFFFF
    return value


def endpoint(address: str, port: int) -> str:
    """Format an address (or name) and a port as in a URL."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def without_zone(host: str) -> str:
    """Return an address without its zone, which means nothing to other hosts (RFC 6874 section 4); names as is."""
    return host.partition("%")[0] if ":" in host else host
