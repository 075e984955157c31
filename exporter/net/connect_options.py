"""How to connect to an endpoint, computed once for all runs when the configuration is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.addresses import Endpoint, parse_address
from exporter.net.dns.hosts import literal_address, resolvable_name
from exporter.net.tls.context_recipe import context_recipe
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.net.proxy.route import ProxyRoute
    from exporter.net.tls.context_recipe import ContextRecipe
    from exporter.settings import NetworkSettings, TlsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """How to connect to one endpoint; immutable, shared by runs. `connect_options` makes them.

    Attributes:
        settings: Address family, source address, name server, how many addresses to try, and time limit.
        connect_to: The endpoint to connect to instead; None for the endpoint itself.
        address: The address to connect to if no name has to be looked up; else None.
        tls: The recipe of the TLS context; None for a plain connection.
        server_name: Name or IP address sent (names only) and verified, as in certificates; empty without TLS.
        tls_timeout_seconds: Limit of the handshake alone.
        proxy: The proxy to the endpoint, and how to use it; None for a direct connection.
    """

    settings: NetworkSettings
    connect_to: Endpoint | None = None
    address: Address | None = None
    tls: ContextRecipe | None = None
    server_name: str = ""
    tls_timeout_seconds: float | None = None
    proxy: ProxyOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """How to connect through one proxy; immutable, shared by runs.

    Attributes:
        route: The proxy.
        connect: How to connect to the proxy, with the settings for the target.
        gets_address: Whether the exporter looks up the target's name and sends the proxy the address instead.
    """

    route: ProxyRoute
    connect: ConnectOptions
    gets_address: bool


def connect_options(
    endpoint: Endpoint,
    settings: NetworkSettings,
    *,
    tls: TlsConfig | None = None,
    server_name: str | None = None,
    alpn: tuple[str, ...] = (),
    tls_timeout_seconds: float | None = None,
    proxy: ProxyRoute | None = None,
    resolves_for_proxy: bool = False,
) -> ConnectOptions:
    """Return how to connect to an endpoint.

    Which name is sent and verified is decided here and nowhere else: that of `tls`, else `server_name`, else the host.

    Args:
        endpoint: The endpoint.
        settings: Address family, source address, name server, fixed address, how many to try, and time limit.
        tls: TLS options; None for a plain connection.
        server_name: Name sent and verified when `tls` sets none; the host by default.
        alpn: Application protocols offered, preferred one first.
        tls_timeout_seconds: Limit of the handshake alone.
        proxy: The proxy to the endpoint; None for none.
        resolves_for_proxy: Whether the proxy is sent the target's address instead of its name.

    Raises:
        CheckFailed: With reason `resolve` when the name is not a host name.
    """
    connect_to = None
    if settings.connect_to is not None:
        connect_to = Endpoint(*parse_host_port(settings.connect_to, default_port=endpoint.port))
    return ConnectOptions(
        settings=settings,
        connect_to=connect_to,
        address=literal_address((connect_to or endpoint).host, settings),
        tls=None if tls is None else context_recipe(tls, alpn),
        server_name="" if tls is None else _name_in_certificates(tls.server_name or server_name or endpoint.host),
        tls_timeout_seconds=tls_timeout_seconds,
        proxy=None if proxy is None else _proxy_options(proxy, settings, gets_address=resolves_for_proxy),
    )


def _proxy_options(route: ProxyRoute, settings: NetworkSettings, *, gets_address: bool) -> ProxyOptions:
    tls = route.tls if route.kind == "https" else None
    return ProxyOptions(
        route=route,
        connect=connect_options(Endpoint(route.host, route.port), settings, tls=tls),
        gets_address=gets_address,
    )


def _name_in_certificates(name: str) -> str:
    """Return a name without its final dot, or an address without its zone."""
    address = parse_address(name)
    return resolvable_name(name).removesuffix(".") if address is None else address.text.partition("%")[0]
