"""Open a measured connection, or a measured exchange of datagrams, for one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.net.addresses import endpoint
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.connection_report import report_connection
from exporter.net.network import place_to_find
from exporter.net.proxy.settings import ProxySettings, usable_proxies
from exporter.net.received import ReceivedBytes
from exporter.net.stream import Stream
from exporter.net.udp import Datagram, open_datagram_socket

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.net.network import Network
    from exporter.net.proxy.route import ProxyRoute
    from exporter.settings import CheckSettings, NetworkSettings, TlsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How to speak TLS over a stream.

    Attributes:
        config: The TLS options of the check.
        server_name: Name sent and verified when `config` sets none; None for the host.
        alpn: Application protocols offered, preferred one first.
        timeout_seconds: Limit of the handshake alone; None for no limit of its own.
    """

    config: TlsConfig
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    timeout_seconds: float | None = None


async def open_stream(
    network: Network,
    attempt: Attempt,
    place: tuple[str, int],
    settings: NetworkSettings,
    tls: TlsOptions | None,
) -> Stream:
    """Connect to a target and record, whatever the outcome, what is known about the connection.

    Args:
        network: Connects.
        attempt: What the connection is made for.
        place: Host and port of the target.
        settings: How to resolve and connect; the proxy, too, if they are ProxySettings.
        tls: How to speak TLS; None for a plain connection.

    Raises:
        CheckFailed: As `Network.connect`.
    """
    host, port = place
    facts = ConnectionFacts()
    try:
        _, received = await network.connect(
            ReceivedBytes,
            host,
            port,
            settings,
            facts,
            tls=None if tls is None else tls.config,
            server_name=None if tls is None else tls.server_name,
            tls_timeout_seconds=None if tls is None else tls.timeout_seconds,
            alpn=() if tls is None else tls.alpn,
            proxy=_proxy(settings, host, port),
        )
    finally:
        report_connection(attempt, facts)
    assert isinstance(received, ReceivedBytes)  # noqa: S101 - what the factory made
    return Stream(network, attempt, host, received, facts)


async def open_datagram(
    network: Network, attempt: Attempt, place: tuple[str, int], settings: NetworkSettings
) -> Datagram:
    """Resolve a target and open a socket for datagrams to it; record, whatever the outcome, what is known about it.

    Args:
        network: Resolves the name.
        attempt: What the exchange is made for.
        place: Host and port of the target.
        settings: How to resolve, and the address to send from.

    Raises:
        CheckFailed: As `Resolver.address` and `open_datagram_socket`.
    """
    host, port = place_to_find(*place, settings)
    facts = ConnectionFacts()
    try:
        address = await network.lookups.address(host, settings, facts)
    finally:
        report_connection(attempt, facts)
    attempt.note("resolved", host=host, address=facts.address, seconds=facts.resolve_seconds)
    return Datagram(open_datagram_socket(address, port, settings.source_ip), endpoint(address.text, port))


def _proxy(settings: CheckSettings, host: str, port: int) -> ProxyRoute | None:
    """Return the proxy to a target, if the type has proxies and the check names one."""
    return usable_proxies(settings).route(host, port, secure=True) if isinstance(settings, ProxySettings) else None
