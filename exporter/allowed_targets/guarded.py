"""Addresses that may be connected to only where they are listed: link-local ones, and the metadata of clouds.

An address counts as the one that is reached in the end: that of a gateway which translates it counts as the IPv4
address within it.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Guard(NamedTuple):
    """A network that only an entry within it allows, and what its addresses are."""

    network: IpNetwork
    what: str


GUARDED = tuple(
    Guard(ipaddress.ip_network(network), what)
    for network, what in (
        ("169.254.0.0/16", "a link-local address"),  # RFC 3927; the metadata of most clouds is here as well
        ("fe80::/10", "a link-local address"),  # RFC 4291 section 2.5.6
        ("224.0.0.0/24", "a link-local address"),  # RFC 5771 section 4
        ("ff02::/16", "a link-local address"),  # RFC 4291 section 2.7
        ("100.100.100.200/32", "an address of a metadata service"),  # Alibaba Cloud
        ("168.63.129.16/32", "an address of a metadata service"),  # Azure
        ("192.0.0.192/32", "an address of a metadata service"),  # Oracle Cloud
        ("fd00:ec2::/32", "an address of a metadata service"),  # Amazon EC2
        ("fd20:ce::254/128", "an address of a metadata service"),  # Google Cloud
        ("fd00:42::42/128", "an address of a metadata service"),  # Scaleway
    )
)
"""Networks that no wider entry allows."""

_EMBEDDING = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("::/96", 0),  # RFC 4291 section 2.5.5.1
        ("::ffff:0:0:0/96", 0),  # RFC 7915
        ("64:ff9b::/96", 0),  # RFC 6052
        ("64:ff9b:1::/48", 0),  # RFC 8215, with prefixes of 96 bits
        ("2002::/16", 80),  # RFC 3056
    )
)
_TEREDO = ipaddress.IPv6Network("2001::/32")  # RFC 4380 section 4: the last 32 bits, inverted
_LOOPBACK = {4: ipaddress.ip_address("127.0.0.1"), 6: ipaddress.ip_address("::1")}

_MOST_JUDGED = 4096
"""Addresses whose judgement is kept: it takes longer than all else that is done before a connection."""


class JudgedAddress(NamedTuple):
    """What is known about an address, independently of what is allowed.

    Attributes:
        found: What the system would connect to.
        guard: The guarded network that this, or the embedded address, belongs to; None for none.
        embedded: The guarded IPv4 address that a gateway would translate it to; None for none.
    """

    found: IpAddress
    guard: Guard | None
    embedded: ipaddress.IPv4Address | None


@lru_cache(_MOST_JUDGED)
def judged_address(address: str) -> JudgedAddress:
    """Return what is known about an IP address, which may have a zone."""
    found = _address(address)
    guard = _guard(found)
    embedded = _embedded(found) if guard is None else None
    if embedded is not None:
        guard = _guard(embedded)
    return JudgedAddress(found, guard, None if guard is None else embedded)


def _address(text: str) -> IpAddress:
    """Return the address that the system would connect to: IPv4 for a mapped one, loopback for the unspecified one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return _LOOPBACK[address.version] if address.is_unspecified else address


def _guard(address: IpAddress) -> Guard | None:
    return next((guard for guard in GUARDED if address in guard.network), None)


def _embedded(address: IpAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a gateway would translate an IPv6 address to; None for none."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return None
    if address in _TEREDO:
        return ipaddress.IPv4Address(~int(address) & 0xFFFFFFFF)
    shift = next((shift for network, shift in _EMBEDDING if address in network), None)
    return None if shift is None else ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
