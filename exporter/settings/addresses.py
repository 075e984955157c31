"""Parses addresses: hosts, IP addresses, ports and resolvers. The message for a misplaced URL says what to write."""

from __future__ import annotations

import ipaddress
import re

from exporter.host_names import host_name

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?(?P<place>[^/?#]*)")

_PORT = re.compile(r":[0-9]*$")

_URL_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

SYSTEM_RESOLVER = "system"
"""Value of `resolver` that selects the system's resolver instead of a DNS server."""


def parse_ip(value: object) -> str:
    """Parse an IPv4 or IPv6 address and return its canonical text.

    Raises:
        ValueError: When it is not an IP address.
    """
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError("is not an IP address") from None


def parse_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Parse an IP address or a network (`192.0.2.0/24`); an address is a network of one.

    Raises:
        ValueError: When it is neither, or an address within a network.
    """
    text = value if isinstance(value, str) else ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is not an IP address or network, such as 192.0.2.1 or 2001:db8::/32") from None
    address = text.partition("/")[0]
    if network.num_addresses > 1 and ipaddress.ip_address(address) != network.network_address:
        raise ValueError(f"is an address within a network; write {network} or {address}")
    return network


def parse_host(value: object) -> str:
    """Return a host: an IP address in canonical text without brackets, or a name in ASCII as `host_name` returns it.

    Args:
        value: A DNS name or an IP address (IPv6 with or without brackets), without port.

    Raises:
        ValueError: When it is neither.
    """
    text = value if isinstance(value, str) else ""
    if url := _URL.match(text):
        raise ValueError(f"is a URL; write {_PORT.sub('', url['place'])}")
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError("is not an IPv6 address, which brackets are for") from None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    name = host_name(text)
    bare = name.removesuffix(".")
    if not bare.rpartition(".")[2].isdigit():
        return text if text.isascii() else name
    try:
        return str(ipaddress.IPv4Address(bare))  # its digits and dots may have been full-width characters
    except ValueError:
        raise ValueError(_not_ipv4(bare)) from None


def _not_ipv4(text: str) -> str:
    """Return what is wrong with a host whose last label is a number."""
    numbers = text.split(".")
    if len(numbers) == 4 and all(number.isascii() and number.isdigit() for number in numbers):
        for number in numbers:
            if len(number) > 1 and number.startswith("0"):
                plain = number.lstrip("0") or "0"
                return f"is not an IP address: {number} has a leading zero, which may mean octal; write {plain}"
            if int(number) > 255:
                return f"is not an IP address: {number} is more than 255"
    return "is not a host name: its last label is a number, and it is not an IP address"


def parse_host_port(value: object, default_port: int | None = None) -> tuple[str, int]:
    """Parse `host:port`, `[v6]:port` or, when there is a default port, a bare host.

    Raises:
        ValueError: When the host is not valid, or the port is missing or not in 1..65535.
    """
    text = value if isinstance(value, str) else ""
    if url := _URL.match(text):
        raise ValueError(f"is a URL; write {_place_in_url(url, port_needed=default_port is None)}")
    host, colon, port_text = text.rpartition(":")
    bare_v6 = text.count(":") > 1 and not text.startswith("[")
    if not colon or bare_v6 or text.endswith("]"):
        if default_port is None:
            raise ValueError("needs a port: host:port, or [address]:port for IPv6")
        return parse_host(text), default_port
    if not port_text.isascii() or not port_text.isdigit() or not 1 <= int(port_text) <= 65535:
        raise ValueError(f"has port {port_text!r}; a port is a number from 1 to 65535")
    if not host:
        raise ValueError("has no host before its port")
    return parse_host(host), int(port_text)


def _place_in_url(url: re.Match[str], *, port_needed: bool) -> str:
    """Return what to write in place of a URL: its host, with a port where one is needed."""
    place = url["place"]
    if not port_needed or _PORT.search(place):
        return place
    return f"{place}:{_URL_PORTS.get(url['scheme'].lower(), 'PORT')}"


def parse_ip_port(value: object) -> str:
    """Return an IP address with or without a port (`192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`) as written.

    Raises:
        ValueError: When it is not one; a name is rejected, because it would have to be resolved first.
    """
    if isinstance(value, str) and (url := _URL.match(value)):
        raise ValueError(f"is a URL; write {_ip_place(url['place']) or 'an IP address'}")
    host, _ = parse_host_port(value, default_port=1)
    parse_ip(host)
    return str(value)


def _ip_place(place: str) -> str:
    """Return the host and port of a URL when the host is an IP address; otherwise an empty text."""
    try:
        return parse_ip_port(place)
    except ValueError:
        return ""


def parse_resolver(value: object) -> str:
    """Return the resolver for names as written: an address that `parse_ip_port` accepts, or `system`.

    Raises:
        ValueError: When it is neither.
    """
    text = value if isinstance(value, str) else ""
    if text == SYSTEM_RESOLVER:
        return SYSTEM_RESOLVER
    try:
        return parse_ip_port(value)
    except ValueError as error:
        if _URL.match(text):
            raise
        raise ValueError(f"{error}; write an IP address, IP:port, or {SYSTEM_RESOLVER}") from None
