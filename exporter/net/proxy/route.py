"""Choose the proxy for a target, if any, from settings, exemptions and, on request, the environment."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from exporter.settings import TlsConfig, parse_host

if TYPE_CHECKING:
    from collections.abc import Mapping

ProxyKind = Literal["http", "https", "socks5"]

_KINDS: Mapping[str, ProxyKind] = {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5"}
_DEFAULT_PORTS: Mapping[ProxyKind, int] = {"http": 80, "https": 443, "socks5": 1080}
_SOCKS_FIELD_BYTES = 255  # RFC 1929 section 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRoute:
    """One proxy and how to use it; a value, so that connections through different proxies compare unequal.

    Attributes:
        kind: HTTP over TCP, HTTP over TLS, or SOCKS 5.
        host: Name or address of the proxy, without brackets.
        port: Its port.
        username: User name sent to it; None when no credentials are sent.
        password: Password sent to it.
        tls: TLS options for a proxy of the kind `https`.
        connect_headers: Fields sent with CONNECT.
        tunnels: Whether to request a tunnel; False when requests are sent to the proxy itself, RFC 9112 section 3.2.2.
    """

    kind: ProxyKind
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    tls: TlsConfig = field(default_factory=TlsConfig)
    connect_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tunnels: bool = True

    def forwarding(self) -> ProxyRoute:
        """Return the same proxy for forwarding requests; one that only tunnels is returned unchanged."""
        return self if self.kind == "socks5" else replace(self, tunnels=False)


def parse_proxy_url(text: str, *, credentials: bool = False) -> ProxyRoute:
    """Parse the URL of a proxy.

    Args:
        text: Such as `http://proxy.example:3128`; the port defaults to 80, 443 or 1080.
        credentials: Whether it may contain a user name and a password, as in the environment.

    Raises:
        ValueError: When it is not one; the message completes a sentence and quotes nothing that may be secret.
    """
    scheme, separator, _ = text.partition("://")
    kind = _KINDS.get(scheme.lower()) if separator else None
    if kind is None:
        raise ValueError("is not a URL of a proxy; write http://, https:// or socks5://, host and port")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("has an invalid host or port") from None
    if (parts.username is not None or parts.password is not None) and not credentials:
        raise ValueError("has a user name or password in it; write them as username and password beside url")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("has more than a host and a port")
    if port == 0:
        raise ValueError("has port 0; a port is a number from 1 to 65535")
    host = parse_host(parts.hostname or "")
    name = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    check_credentials(kind, name, password)
    return ProxyRoute(kind=kind, host=host, port=port or _DEFAULT_PORTS[kind], username=name, password=password)


def check_credentials(kind: ProxyKind, username: str | None, password: str) -> None:
    """Check that such credentials can be sent to a proxy of this kind.

    Raises:
        ValueError: When they cannot: RFC 7617 section 2 and RFC 1929 section 2.
    """
    if username is None:
        return
    if kind == "socks5":
        if not all(1 <= len(text.encode()) <= _SOCKS_FIELD_BYTES for text in (username, password)):
            raise ValueError("needs a username and a password of 1 to 255 bytes for SOCKS")
    elif ":" in username:
        raise ValueError("has a colon in username, which is where the password would begin")


class Exemption(NamedTuple):
    """Targets that bypass the proxy.

    Attributes:
        name: A domain in lower case, including its subdomains; empty for every target; None for a network.
        network: Addresses; None for a name.
        port: The only port that bypasses the proxy; 0 for all.
    """

    name: str | None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    port: int

    def covers(self, host: str, port: int) -> bool:
        """Whether a target bypasses the proxy; names are not resolved for that."""
        if self.port not in (0, port):
            return False
        if self.network is not None:
            try:
                address = ipaddress.ip_address(host.partition("%")[0])
            except ValueError:
                return False
            return address in self.network
        name = host.lower().removesuffix(".")
        return not self.name or name == self.name or name.endswith(f".{self.name}")


def parse_exemption(text: str) -> Exemption:
    """Parse a proxy exemption: `*`, or a domain, an address or a network, optionally with a port.

    Raises:
        ValueError: When it is none of them.
    """
    if text == "*":
        return Exemption("", None, 0)
    try:
        return Exemption(None, ipaddress.ip_network(text.strip("[]"), strict=False), 0)
    except ValueError:
        pass
    host, colon, port_text = text.rpartition(":")
    port = int(port_text) if colon and port_text.isascii() and port_text.isdigit() else 0
    if colon and not 1 <= port <= 65535:
        raise ValueError("is not a domain, address or network with or without a port")
    name = host if colon else text
    try:
        return Exemption(None, ipaddress.ip_network(name.strip("[]"), strict=False), port)
    except ValueError:
        return Exemption(parse_host(name.removeprefix("*").removeprefix(".")).lower().removesuffix("."), None, port)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of a check; a value that lives with the configuration.

    Attributes:
        plain: The proxy for http; None for none.
        secure: The proxy for https, and for what is not HTTP at all.
        exemptions: Targets that bypass them.
    """

    plain: ProxyRoute | None = None
    secure: ProxyRoute | None = None
    exemptions: tuple[Exemption, ...] = ()

    def route(self, host: str, port: int, *, secure: bool) -> ProxyRoute | None:
        """Return the proxy for a target; None when it is connected to directly."""
        proxy = self.secure if secure else self.plain
        if proxy is None or any(exemption.covers(host, port) for exemption in self.exemptions):
            return None
        return proxy


NO_PROXIES = Proxies()


def proxies_of_environment(environment: Mapping[str, str]) -> Proxies:
    """Read `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case before upper case.

    HTTP_PROXY in upper case is used only where no CGI request could have set it.

    Raises:
        ValueError: When one of them cannot be understood; the message does not quote it.
    """

    def variable(name: str) -> str:
        upper = "" if name == "http_proxy" and "REQUEST_METHOD" in environment else environment.get(name.upper(), "")
        return (environment.get(name) or upper).strip()

    def route(*names: str) -> ProxyRoute | None:
        for name in names:
            if text := variable(name):
                try:
                    return parse_proxy_url(text if "://" in text else f"http://{text}", credentials=True)
                except ValueError as error:
                    raise ValueError(f"the environment's {name} {error}") from error
        return None

    exemptions: list[Exemption] = []
    for entry in variable("no_proxy").split(","):
        if entry.strip():
            try:
                exemptions.append(parse_exemption(entry.strip()))
            except ValueError:
                continue  # other programs accept more forms, which match no target here
    return Proxies(route("http_proxy", "all_proxy"), route("https_proxy", "all_proxy"), tuple(exemptions))
