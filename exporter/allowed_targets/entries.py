"""The entries of allowed targets: hosts, addresses, ports and sockets that a target from a URL may lead to.

An entry is a host name or pattern (`*.example.com`), an address or a network (`10.0.0.0/8`), each with or without ports
(`:443`, `:8000-8999`), `*` for everything, or `unix:` and a pattern for paths of sockets. Without entries everything is
allowed that is not link-local and does not serve the metadata of a cloud; these must be listed one by one.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from exporter.addresses import parse_address
from exporter.allowed_targets.guarded import judged_address
from exporter.host_names import host_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.allowed_targets.guarded import IpAddress, IpNetwork

_METADATA_NAMES = frozenset(("metadata", "instance-data", "metadata.goog", "metadata.google.internal"))
_EVERYTHING: tuple[IpNetwork, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_PORTS = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]+")


class _Ports(NamedTuple):
    first: int
    last: int


_ANY_PORT = _Ports(0, 65535)
"""Port 0 stands for none, as for a ping."""


@dataclass(frozen=True, slots=True)
class _Name:
    pattern: re.Pattern[str]
    is_exact: bool
    ports: _Ports


@dataclass(frozen=True, slots=True)
class _Network:
    network: IpNetwork
    ports: _Ports


@dataclass(frozen=True, slots=True)
class AllowedTargets:
    """What may be connected to; immutable, shared by threads. `parse_allowed_targets` makes it.

    Attributes:
        names: Entries for host names; the addresses of a name that a pattern with `*` or `?` matches are allowed unless
            they are loopback addresses.
        networks: Entries for addresses, however they were found.
        paths: Patterns for the paths of Unix sockets.
        is_open: Whether everything is allowed that is not in GUARDED.
    """

    names: tuple[_Name, ...] = ()
    networks: tuple[_Network, ...] = ()
    paths: tuple[re.Pattern[str], ...] = ()
    is_open: bool = True

    def refusal(self, host: str, port: int, address: str) -> str:
        """Return why a connection is not allowed, in one sentence; empty when it is.

        Args:
            host: The host as the target names it: a name or an address.
            port: The port; 0 for a protocol without ports.
            address: The IP address that would be connected to.
        """
        found, guard, embedded = judged_address(address)
        if guard is not None and embedded is None:
            if any(_lists(one, found, port) and _is_within(one.network, guard.network) for one in self.networks):
                return ""
            place = _shown(host, port, address)
            return f"{place} is not allowed: it is {guard.what}, which the allowed targets must list"
        if guard is not None:
            return f"{_shown(host, port, address)} is not allowed: it leads to {embedded}, {guard.what}"
        if self.is_open or any(_lists(one, found, port) for one in self.networks):
            return ""
        for name in self._names_for(host, port):
            if name.is_exact or not found.is_loopback:
                return ""
        return f"{_shown(host, port, address)} is not among the allowed targets"

    def refusal_of_name(self, host: str, port: int) -> str:
        """Return why a host may not be left to a proxy to resolve, in one sentence; empty when it may.

        What the proxy may take for an address, such as `0x7f.1`, counts as that address.
        """
        try:
            return self.refusal(host, port, socket.inet_ntoa(socket.inet_aton(host)))
        except (OSError, UnicodeEncodeError):
            pass
        name = _bare(host)
        if name in _METADATA_NAMES:
            return f"{_shown(host, port, host)} is not allowed: it names a metadata service"
        if self.is_open or any(self._names_for(host, port)):
            return ""
        return f"{_shown(host, port, host)} is not among the allowed targets"

    def refusal_of_path(self, path: str) -> str:
        """Return why a Unix socket may not be connected to, in one sentence; empty when it may."""
        climbs = not {".", ".."}.isdisjoint(path.split("/"))
        if self.is_open or (not climbs and any(pattern.fullmatch(path) for pattern in self.paths)):
            return ""
        return f"the socket {path} is not among the allowed targets"

    def refusal_before_lookup(self, host: str, port: int) -> str:
        """Return why a target is certainly not allowed, without looking up its name; empty when it may be allowed."""
        if parse_address(host) is not None:
            return self.refusal(host, port, host)
        why = self.refusal_of_name(host, port)
        return "" if self.networks and _bare(host) not in _METADATA_NAMES else why

    def _names_for(self, host: str, port: int) -> Iterable[_Name]:
        if parse_address(host) is not None:
            return ()
        bare = _bare(host)
        return (name for name in self.names if _covers(name.ports, port) and name.pattern.fullmatch(bare))


def parse_allowed_targets(entries: Iterable[str]) -> AllowedTargets:
    """Parse entries; none at all allow everything that is not in GUARDED.

    Raises:
        ValueError: When one of them is not an entry; the message quotes it.
    """
    names: list[_Name] = []
    networks: list[_Network] = []
    paths: list[re.Pattern[str]] = []
    is_open = True
    for entry in entries:
        is_open = False
        if entry.startswith("unix:"):
            paths.append(_glob(entry.removeprefix("unix:")))
            continue
        place, ports = _split(entry)
        if place == "*":
            names.append(_Name(_glob("*"), is_exact=True, ports=ports))
            networks += (_Network(network, ports) for network in _EVERYTHING)
        elif (network := _network(place, entry)) is not None:
            networks.append(_Network(network, ports))
        else:
            names.append(_name(place, ports, entry))
    return AllowedTargets(tuple(names), tuple(networks), tuple(paths), is_open)


def _split(entry: str) -> tuple[str, _Ports]:
    """Split an entry into its host or network and its ports."""
    place, colon, text = entry.rpartition(":")
    if not colon or (entry.count(":") > 1 and not place.endswith("]") and "]/" not in place) or text.endswith("]"):
        return entry, _ANY_PORT
    ports = _PORTS.fullmatch(text)
    first = int(ports["first"]) if ports else 0
    last = int(ports["last"] or first) if ports else 0
    if not 1 <= first <= last <= _ANY_PORT.last:
        raise ValueError(f"{entry!r} has ports {text!r}; write a port from 1 to 65535, or two joined by a hyphen")
    return place, _Ports(first, last)


def _network(place: str, entry: str) -> IpNetwork | None:
    """Return the network that a place is; None for a name."""
    text = place.replace("[", "", 1).replace("]", "", 1) if place.startswith("[") else place
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        if "/" in text or ":" in text or place.startswith("["):
            raise ValueError(f"{entry!r} is not an address or a network: {error}") from None
        return None
    if network.version == 6 and network.prefixlen >= 96:
        mapped = ipaddress.IPv6Address(network.network_address).ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _name(place: str, ports: _Ports, entry: str) -> _Name:
    is_exact = not any(character in place for character in "*?")
    try:
        text = host_name(place).removesuffix(".") if is_exact else place.lower().removesuffix(".")
    except ValueError as error:
        raise ValueError(f"{entry!r} {error}") from None
    if not is_exact and (not _PATTERN.fullmatch(text) or not text.strip("*?.")):
        raise ValueError(f"{entry!r} is not a pattern for host names, such as *.example.com")
    if not set(text.rpartition(".")[2]) - set("0123456789*?") and text[:1].isdigit():
        raise ValueError(f"{entry!r} is not a host name or an IP address; write a network such as 10.0.0.0/8")
    return _Name(_glob(text), is_exact, ports)


def _glob(text: str) -> re.Pattern[str]:
    parts = (
        re.escape(part) if part not in ("*", "?") else {"*": ".*", "?": "."}[part] for part in re.split(r"([*?])", text)
    )
    return re.compile("".join(parts), re.DOTALL)


def _lists(entry: _Network, address: IpAddress, port: int) -> bool:
    return address in entry.network and _covers(entry.ports, port)


def _is_within(network: IpNetwork, guarded: IpNetwork) -> bool:
    return network.prefixlen >= guarded.prefixlen and network.network_address in guarded


def _covers(ports: _Ports, port: int) -> bool:
    return ports.first <= port <= ports.last


def _bare(host: str) -> str:
    try:
        return host_name(host).removesuffix(".")
    except ValueError:
        return ""


def _shown(host: str, port: int, address: str) -> str:
    """Return host, port and, for a name, its address for a message."""
    place = f"[{host}]" if ":" in host else host
    place = f"{place}:{port}" if port else place
    return place if host == address or parse_address(host) is not None else f"{place} ({address})"
