"""Open a measured connection, or a measured exchange of datagrams, for one attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.net.addresses import Endpoint
from exporter.net.connect_options import connect_options
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.connection_report import report_connection
from exporter.net.received import ReceivedBytes
from exporter.net.stream import Stream
from exporter.net.udp import Datagram, open_datagram_socket

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.network import Network
    from exporter.settings import NetworkSettings


async def open_stream(network: Network, attempt: Attempt, endpoint: Endpoint, options: ConnectOptions) -> Stream:
    """Connect to a target and record, whatever the outcome, what is known about the connection.

    Args:
        network: Connects.
        attempt: What the connection is made for.
        endpoint: The target.
        options: How to connect to it.

    Raises:
        CheckFailed: As `Network.connect`.
    """
    facts, received = ConnectionFacts(attempt), ReceivedBytes()
    try:
        await network.connect(received, endpoint, options, facts)
    finally:
        report_connection(facts)
    return Stream(network, endpoint, options, received, facts)


async def open_datagram(network: Network, attempt: Attempt, endpoint: Endpoint, settings: NetworkSettings) -> Datagram:
    """Resolve a target and open a socket for datagrams to it; record, whatever the outcome, what is known about it.

    Args:
        network: Resolves the name.
        attempt: What the exchange is made for.
        endpoint: The target.
        settings: How to resolve, and the address to send from.

    Raises:
        CheckFailed: As `Resolver.address` and `open_datagram_socket`.
    """
    place = connect_options(endpoint, settings).connect_to or endpoint
    facts = ConnectionFacts(attempt)
    try:
        address = await network.lookups.address(place.host, settings, facts)
    finally:
        report_connection(facts)
    attempt.note("resolved", host=place.host, address=facts.address, seconds=facts.resolve_seconds)
    connected = open_datagram_socket(address, place.port, settings.source_ip)
    return Datagram(connected, str(Endpoint(address.text, place.port)))
